"""Demos: what `python -m mlp NAME` shows, each in a module of its own."""

from mlp.demos import derivations, steps
from mlp.demos.catalogue import Demo

_ALL: tuple[Demo, ...] = (
    derivations.DEMO,
    steps.DEMO,
)

# By name, in the order in which they are listed.
DEMOS = {demo.name: demo for demo in _ALL}
