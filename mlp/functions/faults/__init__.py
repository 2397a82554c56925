"""Deliberate gradient bugs in the functions of `mlp.functions`, a module for each of its own."""
