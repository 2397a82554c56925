import inspect

import numpy as np
import pytest

from gradcheck import check_gradients
from gradcheck.options import CheckOptions, Options, settle_options


def test_what_is_not_given_has_its_default():
    assert settle_options({}) == Options()
    assert settle_options({"only": "W*"}) == Options(only=("W*",))


def test_every_option_is_in_the_signature_with_its_default():
    shown = inspect.signature(check_gradients).parameters
    assert set(CheckOptions.__annotations__) <= set(shown)
    for name in CheckOptions.__annotations__:
        given = shown[name].default
        assert settle_options({name: given}) == Options(), name


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"efort": "quick"}, TypeError, "unknown option 'efort'; did you mean 'effort'"),
        ({"seed": -1}, ValueError, "seed must be a whole number of at least 0, got -1"),
        ({"seed": True}, ValueError, "seed must be a whole number of at least 0, got True"),
        *[
            ({"effort": effort}, ValueError, "effort must be one of 'quick', 'auto', 'exhaustive'")
            for effort in ("fast", None, 1, [])
        ],
        (
            {"method": "cs"},
            ValueError,
            "method must be one of 'auto', 'complex', 'strict', got 'cs'",
        ),
        ({"directions": "all"}, ValueError, "directions must be one of 'random', 'eigen'"),
        ({"only": 3}, TypeError, "only must be names of parameters, got 3"),
        ({"required_resolution": 2}, ValueError, "must be between 0 and 1, got 2"),
        ({"required_resolution": "1"}, TypeError, "required_resolution must be a number, got '1'"),
        ({"timeout": 0}, ValueError, "timeout must be a number of seconds above 0, got 0"),
        ({"timeout": True}, TypeError, "timeout must be a number, got True"),
        ({"budget": float("inf")}, ValueError, "budget must be a number of seconds above 0"),
    ],
)
def test_a_bad_option_is_named(given, error, message):
    with pytest.raises(error, match=message):
        check_gradients(np.sum, np.ones_like, np.ones(2), **given)


def test_settings_are_plain_data():
    options = settle_options({"bounds": (0.0, 1.0), "reseed": np.random.default_rng(0)})
    assert options.settings()["bounds"] == "tuple"
    assert options.settings()["reseed"] == "Generator"
    for seed in (3, np.int64(3)):
        setting = settle_options({"reseed": seed}).settings()["reseed"]
        assert (type(setting), setting) == (int, 3)
