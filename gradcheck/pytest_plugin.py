"""The pytest plugin. Loading it loads neither numpy nor rich."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gradcheck.report import GradientReport


@pytest.fixture(scope="session")
def gradient_check() -> Callable[..., GradientReport]:
    """`gradcheck.assert_gradients`, for tests that take what they use as fixtures."""
    from gradcheck.testing import assert_gradients

    return assert_gradients
