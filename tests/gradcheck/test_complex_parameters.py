"""Complex parameters: pairs of real numbers inside, complex arrays for the user."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck import GradientReport, Problem, check, check_gradients, numerical_gradient
from gradcheck.diagnosis import codes
from gradcheck.execution import Evaluator
from gradcheck.leaves import as_complex, as_reals

CONVENTION = "a gradient means dL/dRe + i dL/dIm, jax's convention is its conjugate"


def complex_normal(generator, *shape):
    return generator.standard_normal(shape) + 1j * generator.standard_normal(shape)


GENERATOR = np.random.default_rng(0)
A, B = complex_normal(GENERATOR, 4, 3), complex_normal(GENERATOR, 4)
Z = complex_normal(GENERATOR, 3)


def distance(z):
    """Return |A z - b|**2, whose gradient dL/dRe + i dL/dIm is 2 A^H (A z - b)."""
    return float(np.sum(np.abs(A @ z - B) ** 2))


def distance_gradient(z):
    return 2 * A.conj().T @ (A @ z - B)


def verdicts(report):
    return {part.name: part.verdict for part in report.parameters}


def test_the_gradient_of_a_complex_least_squares_passes():
    report = check_gradients(distance, distance_gradient, Z)
    assert report.verdict == "pass"
    assert report.findings == ()
    assert (report["x"].shape, report["x"].dtype) == ((3, 2), "complex128")
    assert report["x"].checked_count == 6
    assert report["x"].wrong.shape == (3, 2)
    assert report.notes == (f"x is checked as pairs (real, imaginary), last axis; {CONVENTION}",)
    assert GradientReport.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    "wrong",
    [
        lambda z: distance_gradient(z).conj(),  # the convention of jax
        lambda z: distance_gradient(z) / 2,  # the Wirtinger derivative
        lambda z: 2 * A.T @ (A @ z - B),  # a transpose for an adjoint
        lambda z: distance_gradient(z) + np.array([0, 0, 1e-4j]),
    ],
)
def test_a_wrong_one_fails(wrong):
    assert check_gradients(distance, wrong, Z).verdict == "fail"


def test_the_wrong_part_of_the_wrong_entry_is_told():
    report = check_gradients(distance, lambda z: distance_gradient(z) + np.array([0, 0.1j, 0]), Z)
    assert np.argwhere(report["x"].wrong).tolist() == [[1, 1]]
    assert report["x"].worst.index == (1, 1)
    assert report["x"].worst.analytic == pytest.approx(distance_gradient(Z)[1].imag + 0.1)


def test_an_in_place_problem_moves_both_parts_of_the_live_array():
    net = SimpleNamespace(z=Z.copy())
    problem = Problem(
        lambda: distance(net.z), lambda: distance_gradient(net.z), net.z, in_place=True
    )
    assert check(problem).ok
    wrong = Problem(problem.loss, lambda: 1j * distance_gradient(net.z), net.z, in_place=True)
    assert check(wrong).verdict == "fail"
    assert net.z.tolist() == Z.tolist()


LAYOUTS = {
    "backwards": lambda z: z.copy()[::-1],
    "every other": lambda z: np.repeat(z, 2)[::2],
    "column": lambda z: np.tile(z[:, None], (1, 3))[:, 1],
    "big-endian": lambda z: z.astype(">c16"),
    "fortran": lambda z: np.asfortranarray(np.stack([z, 2 * z])),
    "transposed": lambda z: np.stack([z, 2 * z]).T,
    "0-d": lambda z: np.array(z[0]),
    "long double": lambda z: z.astype(np.clongdouble),
}


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_any_layout_in_memory_is_fine(layout, in_place):
    z = layout(Z)
    before = z.copy()

    def loss(z):
        return float(np.sum(np.abs(z - 1j) ** 4))

    def gradient(z):
        return 4 * np.abs(z - 1j) ** 2 * (z - 1j)

    problem = Problem(loss, gradient, z)
    if in_place:
        problem = Problem(lambda: loss(z), lambda: gradient(z), z, in_place=True)
    report = check(problem)
    assert report.verdict == "pass"
    assert report["x"].shape == (*z.shape, 2)
    assert np.array_equal(z, before)


@pytest.mark.parametrize("leaf", [1.5 - 2j, np.complex128(1.5 - 2j), np.complex64(1.5 - 2j)])
def test_a_complex_number_reaches_the_user_as_what_it_was(leaf):
    seen = set()

    def loss(p):
        seen.add(type(p["z"]))
        return abs(p["z"]) ** 2 + p["a"] * p["z"].imag

    def gradient(p):
        return {"z": 2 * p["z"] + 1j * p["a"], "a": p["z"].imag}

    report = check_gradients(loss, gradient, {"z": leaf, "a": 3.0})
    assert verdicts(report) == {"z": "pass", "a": "pass"}
    assert report["z"].shape == (2,)
    assert report["z"].dtype == str(np.asarray(leaf).dtype)
    assert all(issubclass(kind, complex | np.complexfloating) for kind in seen)


def test_complex_and_real_parameters_may_be_nested_together():
    parameters = {"w": [Z, np.array([0.5, -1.0])], "s": (2.0, 1j)}

    def loss(p):
        (z, x), (s, u) = p["w"], p["s"]
        return float(np.sum(np.abs(z * u) ** 2) * s + np.sum(x**2) * u.real)

    def gradient(p):
        (z, x), (s, u) = p["w"], p["s"]
        size = np.sum(np.abs(z) ** 2)
        return {
            "w": [2 * s * abs(u) ** 2 * z, 2 * x * u.real],
            "s": (size * abs(u) ** 2, 2 * s * size * u + np.sum(x**2)),
        }

    report = check_gradients(loss, gradient, parameters)
    assert set(verdicts(report).values()) == {"pass"}
    assert report.notes[0].startswith("w.0, s.1 are checked as pairs (real, imaginary)")


def test_without_a_complex_parameter_there_is_no_note():
    report = check_gradients(lambda p: p["a"] ** 2, lambda p: {"a": 2 * p["a"]}, {"a": 1.0})
    assert report.notes == ()
    both = {"a": 1.0, "z": 1j}
    report = check_gradients(lambda p: p["a"] ** 2, lambda p: {"a": 2 * p["a"]}, both, only="a")
    assert report.notes == ()


def test_a_real_gradient_has_no_imaginary_part_and_a_note_says_so():
    z = Z.real + 0j
    report = check_gradients(lambda z: float(np.sum(np.abs(z) ** 2)), lambda z: 2 * z.real, z)
    assert report.verdict == "pass"
    assert report.findings == ()
    assert report.notes[1] == "real gradients of complex parameters, imaginary part 0: x"
    report = check_gradients(lambda z: float(np.sum(np.abs(z) ** 2)), lambda z: 2 * z.real, Z)
    assert report.verdict == "fail"
    assert np.argwhere(report["x"].wrong)[:, 1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("wrong", [np.ones((3, 2)), np.ones(2) * 1j, np.ones((3, 1)) * 1j])
def test_shapes_are_told_as_the_user_knows_them(wrong):
    report = check_gradients(distance, lambda z: wrong, Z)
    (finding,) = report.findings
    assert finding.code == codes.WRONG_SHAPE.code
    assert finding.evidence == f"x: gradient of shape {wrong.shape}, parameter of shape (3,)"


def test_a_gradient_of_less_precision_is_noted():
    report = check_gradients(distance, lambda z: distance_gradient(z).astype(np.complex64), Z)
    evidence = [f.evidence for f in report.findings if f.code == codes.WRONG_DTYPE.code]
    assert evidence == ["x: float32 numbers for a complex128 parameter"]
    assert report.verdict != "fail"


def test_a_single_precision_parameter_is_held_to_single_precision():
    z, a = Z.astype(np.complex64), A.astype(np.complex64)

    def loss(z):
        return np.sum(np.abs(a @ z) ** 2)

    def gradient(z):
        return 2 * a.conj().T @ (a @ z)

    report = check_gradients(loss, gradient, z)
    assert report.verdict == "pass"
    assert report["x"].dtype == "complex64"
    assert check_gradients(loss, lambda z: gradient(z).conj(), z).verdict == "fail"


def test_a_complex_loss_is_no_loss():
    report = check_gradients(lambda z: np.sum(z * z.conj()), lambda z: 2 * z, Z)
    (finding,) = report.findings
    assert finding.code == codes.LOSS_NOT_SCALAR.code
    assert "got complex128 " in finding.evidence


def test_mutating_a_complex_parameter_is_noticed_and_undone():
    z = Z.copy()

    def loss():
        z.imag += 1
        return distance(z)

    report = check(Problem(loss, lambda: distance_gradient(z), {"z": z}, in_place=True))
    assert [finding.slug for finding in report.findings] == ["mutates_parameters"]
    assert z.tolist() == Z.tolist()


def test_a_complex_parameter_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match=r"parameter 'x' must be finite, got \(?nan"):
        check_gradients(distance, distance_gradient, np.array([1j, complex(np.nan, 0), 0]))


def test_a_numerical_gradient_is_complex_where_the_parameter_is():
    result = numerical_gradient(
        lambda p: distance(p["z"]) + p["a"] ** 2 + abs(p["u"]) ** 2, {"z": Z, "a": 3.0, "u": 1j}
    )
    for name, expected in {"z": distance_gradient(Z), "a": 6.0, "u": 2j}.items():
        assert result.value[name].dtype == np.result_type(expected)
        assert result.value[name].shape == result.error_bar[name].shape == np.shape(expected)
        assert result.error_bar[name].dtype == np.float64
        error = np.abs(result.value[name] - expected)
        assert np.all(error <= result.error_bar[name])
        assert np.all(result.error_bar[name] <= 1e-6 * np.max(np.abs(expected)))


def test_pairs_are_a_view_and_lead_back():
    z = np.asfortranarray(np.stack([Z, 1j * Z]))[:, ::-1]
    pairs = as_reals(z)
    assert pairs.shape == (2, 3, 2)
    assert np.array_equal(as_complex(pairs), z)
    pairs[1, 0, 1] = 7.0
    assert z[1, 0].imag == 7.0


def test_signs_of_zeros_and_infinities_survive_the_way_back():
    odd = np.array([complex(-0.0, np.inf), complex(np.nan, -0.0)])
    back = as_complex(as_reals(odd))
    assert np.signbit(back.real).tolist() == np.signbit(odd.real).tolist()
    assert np.array_equal(back.imag, odd.imag)


def test_the_loss_gets_the_complex_array_in_double_precision_too():
    seen = []
    evaluator = Evaluator(
        Problem(lambda z: seen.append(z.dtype) or distance(z), Z, Z.astype(np.complex64))
    )
    assert evaluator.use_double_precision()
    assert seen == [np.dtype(np.complex128)]
    assert evaluator.working["x"].dtype == np.float64
    assert evaluator.loss() == distance(Z.astype(np.complex64).astype(np.complex128))
