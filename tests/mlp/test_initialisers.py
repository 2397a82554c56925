"""Initial weights have the spread that their names promise and come from the given generator."""

import numpy as np
import pytest

from mlp import initialisers

FAN_IN, FAN_OUT = 200, 300
SPREADS = {
    initialisers.small_normal: 0.01,
    initialisers.unit_normal: 1.0,
    initialisers.lecun_normal: (1 / 200) ** 0.5,
    initialisers.xavier_normal: (2 / 500) ** 0.5,
    initialisers.he_normal: (2 / 200) ** 0.5,
}


@pytest.mark.parametrize(("initialiser", "spread"), SPREADS.items())
def test_weights_have_the_promised_shape_and_spread(initialiser, spread):
    weight = initialiser(np.random.default_rng(0), FAN_IN, FAN_OUT)
    assert weight.shape == (FAN_IN, FAN_OUT)
    # With 60,000 entries the sample's deviation is within 0.3 % of the true one, at one sigma.
    assert weight.std() == pytest.approx(spread, rel=0.015)
    assert abs(weight.mean()) < 0.02 * spread


@pytest.mark.parametrize("initialiser", SPREADS)
def test_weights_follow_the_generator_alone(initialiser):
    drawn = [initialiser(np.random.default_rng(seed), 3, 4) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.any(drawn[0] == drawn[2])
