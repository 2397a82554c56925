"""Generators of random numbers that cost next to nothing to seed."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random.bit_generator import ISeedSequence

_WORD = np.dtype(np.uint64)
_WORDS = 4


def random_generator(seed: int, name: str, number: int) -> np.random.Generator:
    """Return a generator whose numbers depend on a seed, a name and a number alone.

    numpy's own seeding takes longer than the numbers of a small parameter.
    """
    key = blake2b(f"{seed} {number} {name}".encode(), digest_size=_WORDS * _WORD.itemsize)
    start: Any = _Digest(key.digest())  # numpy's annotation knows its own kind of it only
    return np.random.Generator(np.random.SFC64(start))


class _Digest(ISeedSequence):
    """A cryptographic digest, which needs no more mixing, as the state to start from."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[Any]:
        return np.frombuffer(self._digest, dtype, n_words)
