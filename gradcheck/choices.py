"""The values that options of a check are chosen from."""

from __future__ import annotations

from typing import Literal, get_args

Effort = Literal["quick", "auto", "exhaustive"]
Method = Literal["auto", "complex", "strict"]
Directions = Literal["random", "eigen"]
EFFORTS: tuple[str, ...] = get_args(Effort)
METHODS: tuple[str, ...] = get_args(Method)
DIRECTIONS: tuple[str, ...] = get_args(Directions)
