"""The pytest plugin: the seed of gradcheck in the header, and messages that stand alone."""
