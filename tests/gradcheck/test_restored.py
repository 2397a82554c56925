"""Parameters that live in the user's own object are as they were, wherever a check was left."""

from contextlib import suppress

import numpy as np
import pytest

from gradcheck import Problem, check

# Adding h and subtracting it again does not give these back, and -0.0 is not 0.0.
AWKWARD = np.array([0.1, -0.0, 1e-300, -3.7, 1 / 3, 5e-324])


class Interrupted:
    """A small network that holds its parameters, and whose loss raises at one of its calls."""

    def __init__(self, error=None, at=None):
        self.W, self.b = AWKWARD.copy(), AWKWARD.reshape(2, 3)[:, :2].astype(np.float32)
        self.error, self.at, self.calls = error, at, 0

    def loss(self):
        if self.calls == self.at:
            raise self.error
        self.calls += 1
        return float(np.sum(np.sin(self.W)) + np.sum(self.b.astype(float) ** 2))

    def gradient(self):
        return {"W": np.cos(self.W), "b": 2 * self.b}

    def check(self):
        live = {"W": self.W, "b": self.b}
        return check(Problem(self.loss, self.gradient, live, in_place=True), effort="quick")

    def bits(self):
        return self.W.tobytes() + self.b.tobytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ArithmeticError])
def test_live_parameters_are_as_they_were_wherever_the_loss_raises(error):
    undisturbed = Interrupted()
    before = undisturbed.bits()
    undisturbed.check()
    assert undisturbed.bits() == before
    assert undisturbed.calls > 20
    for at in range(undisturbed.calls):
        network = Interrupted(error("stop"), at)
        with suppress(error):
            network.check()
        assert network.bits() == before, f"after an exception in call {at}"
