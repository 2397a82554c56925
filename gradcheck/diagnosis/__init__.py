"""Why a gradient is wrong, or what limits a check: the catalogue of codes."""
