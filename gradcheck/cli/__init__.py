"""The `gradcheck` command. Importing it loads neither numpy nor rich."""

from gradcheck.cli.command import main

__all__ = ["main"]
