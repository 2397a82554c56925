"""Four derivations of one network: they agree at any point, and with numerical derivatives."""

import pickle
import sys
from dataclasses import fields

import numpy as np
import pytest

from mlp import derivations
from mlp.derivations import DERIVATIONS, framework, matrices, warm_ups
from mlp.derivations.quantities import derived_problem
from mlp.tape import value_and_gradient

BY = {"hand": "by_hand", "tape": "by_tape", "matrices": "by_matrices", "torch": "by_framework"}
NEEDS = {"torch": [pytest.mark.frameworks]}
EACH = [pytest.param(way, marks=NEEDS.get(way, [])) for way in DERIVATIONS]


def drawn(seed):
    """Return weights of unit scale, and 1 to 4 instances."""
    rng = np.random.default_rng(seed)
    n = 1 + seed % 4
    return [rng.standard_normal(shape) for shape in ((2, 2), (2, 2), (n, 2), (n, 2))]


@pytest.mark.parametrize("way", [way for way in EACH if way.values != ("matrices",)])
def test_derivations_agree_in_every_quantity(way):
    for seed in range(50):
        point = drawn(seed)
        found, expected = DERIVATIONS[way](*point), matrices.derive(*point)
        for field in fields(expected):
            one, other = getattr(found, field.name), getattr(expected, field.name)
            assert np.shape(one) == np.shape(other)
            floor = 1e-14 * np.abs(other).max()
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=floor, err_msg=field.name)


@pytest.mark.parametrize("way", ["hand", "tape", "matrices"])
def test_derivation_agrees_with_the_complex_step(way, complex_step, assert_same_gradient):
    problem = derived_problem(way, DERIVATIONS[way])
    for seed in range(10):
        W, V, *args = drawn(seed)
        parameters = {"W": W, "V": V}
        numerical = complex_step(
            lambda p, *args: problem.loss(p["net"], *args), {"net": parameters}, *args
        )
        analytic = {"net": problem.gradient(parameters, *args)}
        assert_same_gradient(analytic, numerical, rtol=1e-12, floor=1e-13)


@pytest.mark.parametrize("way", EACH)
def test_derivation_is_a_problem_that_survives_pickling(way):
    problem = getattr(derivations, BY[way])()
    copy = pickle.loads(pickle.dumps(problem))
    assert problem.name == BY[way]
    assert problem.layers == {"hidden": ["W"], "output": ["V"]}
    np.testing.assert_equal(
        copy.gradient(copy.parameters, *copy.args),
        problem.gradient(problem.parameters, *problem.args),
    )


def test_float32_problem_is_instance_1_in_float32():
    problem, exact = derivations.in_float32(), derivations.by_matrices()
    assert {array.dtype for array in [*problem.parameters.values(), *problem.args]} == {
        np.dtype(np.float32)
    }
    np.testing.assert_equal(problem.parameters, exact.parameters)
    np.testing.assert_equal(problem.args, tuple(array[:1] for array in exact.args))
    assert problem.loss(problem.parameters, *problem.args).dtype == np.float32
    assert (problem.sizes["batch"], exact.sizes["batch"]) == (1, 2)


@pytest.mark.parametrize("call", [framework.by_framework, lambda: framework.derive(*drawn(0))])
def test_missing_framework_is_said_with_the_way_to_install_it(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match="not installed: pip install torch") as caught:
        call()
    assert caught.value.name == "torch"


def test_framework_that_misses_something_itself_says_so_itself(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("import a_missing_part_of_torch\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(ModuleNotFoundError, match="a_missing_part_of_torch"):
        framework.load_torch()


@pytest.mark.parametrize(
    ("weight", "loss", "slope"),
    # The text rounds L(3.01) to 16.32 and L(1.51) to 3.84.
    [(3.0, 16.0, 32.0), (3.01, 16.3216, 32.32), (1.5, 4.0, -16.0), (1.51, 3.8416, -15.68)],
)
def test_one_weight_by_hand_and_by_tape(weight, loss, slope):
    problem = warm_ups.one_weight()
    point = {"w": np.array(weight)}
    assert problem.loss(point, *problem.args) == pytest.approx(loss, rel=1e-13)
    by_hand = problem.gradient(point, *problem.args)
    value, by_tape = value_and_gradient(problem.loss)(point, *problem.args)
    assert value == pytest.approx(loss, rel=1e-13)
    assert by_hand["w"] == by_tape["w"] == pytest.approx(slope, rel=1e-13)


def test_two_variables_by_hand_and_by_tape():
    problem = warm_ups.two_variables()
    value, by_tape = value_and_gradient(problem.loss)(problem.parameters)
    assert value == problem.loss(problem.parameters) == 29
    np.testing.assert_equal(by_tape, {"x": 18, "y": 4})
    np.testing.assert_equal(problem.gradient(problem.parameters), {"x": 18, "y": 4})


def test_two_variables_by_the_complex_step(complex_step):
    problem = warm_ups.two_variables()
    numerical = complex_step(lambda p: problem.loss(p["point"]), {"point": problem.parameters})
    np.testing.assert_allclose(list(numerical["point"].values()), [18, 4], rtol=1e-15)
