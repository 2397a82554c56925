"""Demos: what `python -m mlp NAME` shows, each in a module of its own."""

from mlp.demos import (
    any_depth,
    batch_norm,
    derivations,
    descent,
    digits,
    initialisation,
    quadrants,
    six_arrays,
    spiral,
    steps,
    vanishing,
    verified,
    zeros,
)
from mlp.demos.catalogue import Demo

_ALL: tuple[Demo, ...] = (
    six_arrays.DEMO,
    verified.DEMO,
    descent.DEMO,
    derivations.DEMO,
    steps.DEMO,
    any_depth.DEMO,
    zeros.DEMO,
    quadrants.DEMO,
    initialisation.DEMO,
    vanishing.DEMO,
    batch_norm.DEMO,
    spiral.DEMO,
    digits.DEMO,
)

# By name, in the order in which they are listed.
DEMOS = {demo.name: demo for demo in _ALL}
