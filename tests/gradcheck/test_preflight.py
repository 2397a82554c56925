"""Codes GC101 to GC112: what is noticed before any number is compared."""

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients
from gradcheck.diagnosis import codes

W, B = np.array([[1.0, -2.0], [3.0, 0.5]]), np.array([0.7, -1.3])


def parameters():
    return {"W": W.copy(), "b": B.copy()}


def loss(p):
    return float(0.5 * np.sum(p["W"] ** 2) + np.sum(p["b"] ** 3))


def gradient(p):
    return {"W": p["W"] * 1.0, "b": 3 * p["b"] ** 2}


def verdicts(report):
    return {part.name: part.verdict for part in report.parameters}


def reasons(report):
    return {part.name: part.reason for part in report.parameters}


def only_finding(report, code):
    """Return the one finding, after looking at what every finding of a kind must have."""
    (finding,) = report.findings
    assert (finding.code, finding.slug, finding.title) == (code.code, code.slug, code.title)
    assert finding.severity == code.severity
    assert finding.suggestion
    for part in report.parameters:
        assert (finding in part.findings) == (part.name in finding.parameters)
    return finding


def is_untouched(report):
    return all(
        part.checked_count == 0 and part.probes == () and part.worst is None and part.wrong is None
        for part in report.parameters
    )


@pytest.mark.parametrize(
    ("returned", "evidence"),
    [
        ({"W": 2 * W, "b": B, "c": B}, "unexpected c"),
        ([W, B], "missing W, b; unexpected 0, 1"),
        (W, "expected a dict like the parameters, got ndarray of shape (2, 2)"),
        (None, "expected a dict like the parameters, got NoneType"),
        ({"W": "1", "b": None}, "W must be an array of real numbers, got str '1'; b must be"),
    ],
)
def test_a_gradient_of_wrong_structure_fails_every_parameter(returned, evidence):
    report = check_gradients(loss, lambda p: returned, parameters())
    finding = only_finding(report, codes.WRONG_STRUCTURE)
    assert finding.evidence.startswith(evidence)
    assert finding.parameters == ("W", "b")
    assert verdicts(report) == {"W": "fail", "b": "fail"}
    assert set(reasons(report).values()) == {"wrong structure"}
    assert is_untouched(report)
    assert report.gradient_calls == 1


@pytest.mark.parametrize(
    ("spoil", "evidence"),
    [
        (lambda g: {"W": g["W"]}, "missing b"),
        (lambda g: {"W": g["W"], "B": g["b"]}, "missing b; unexpected B"),
        (lambda g: g | {"b": None}, "b must be an array of real numbers, got None"),
        (lambda g: g | {"b": "0.0"}, "b must be an array of real numbers, got str '0.0'"),
        (
            lambda g: g | {"b": 1j * B},
            "b must be an array of real numbers, got complex128 array of shape",
        ),
        (lambda g: g | {"b": [[1.0], [2.0, 3.0]]}, "b must be an array of real numbers, got list"),
    ],
)
def test_what_is_there_is_compared_where_another_gradient_is_missing(spoil, evidence):
    report = check_gradients(loss, lambda p: spoil(gradient(p)), parameters())
    finding = only_finding(report, codes.WRONG_STRUCTURE)
    assert finding.evidence.startswith(evidence)
    assert finding.parameters == ("b",)
    assert verdicts(report) == {"W": "pass", "b": "fail"}
    assert reasons(report) == {"W": "", "b": "wrong structure"}
    assert report["W"].checked_count == 4


def test_nobody_is_taken_for_another_where_a_list_of_gradients_is_too_short():
    report = check_gradients(
        lambda p: float(np.sum(p["layers"][0] ** 2 + p["layers"][1] ** 2) + p["c"] ** 2),
        lambda p: {"layers": [2 * p["layers"][1]], "c": 2 * p["c"]},
        {"layers": [B, 2 * B], "c": 3.0},
    )
    assert only_finding(report, codes.WRONG_STRUCTURE).evidence == "missing layers.1"
    assert verdicts(report) == {"layers.0": "fail", "layers.1": "fail", "c": "pass"}


@pytest.mark.parametrize(
    "wrong", [B[:, None], B[:1], np.float64(1.0), np.zeros(0), np.stack([B, B]), [[0.7], [1.3]]]
)
def test_a_wrong_shape_fails_its_parameter_and_no_other(wrong):
    report = check_gradients(loss, lambda p: gradient(p) | {"b": wrong}, parameters())
    finding = only_finding(report, codes.WRONG_SHAPE)
    shape = np.shape(wrong)
    assert finding.evidence == f"b: gradient of shape {shape}, parameter of shape (2,)"
    assert finding.parameters == ("b",)
    assert verdicts(report) == {"W": "pass", "b": "fail"}
    assert report["b"].reason == f"gradient of shape {shape}, parameter of shape (2,)"
    assert report["b"].wrong is None
    assert report["W"].checked_count == 4


def test_a_transposed_shape_is_a_wrong_shape():
    A = np.arange(1.0, 7.0).reshape(2, 3)
    report = check_gradients(lambda x: np.sum(x**2), lambda x: 2 * x.T, A)
    finding = only_finding(report, codes.WRONG_SHAPE)
    assert finding.evidence == "x: gradient of shape (3, 2), parameter of shape (2, 3)"


@pytest.mark.parametrize(
    ("entries", "evidence"),
    [
        ({(1, 0): np.nan}, "W: 1 of 4 entries not finite, first nan at [1, 0]"),
        ({(0, 1): np.inf}, "W: 1 of 4 entries not finite, first inf at [0, 1]"),
        (
            {(1, 1): np.nan, (0, 1): -np.inf},
            "W: 2 of 4 entries not finite, first -inf at [0, 1]",
        ),
    ],
)
def test_a_gradient_that_is_not_finite_fails_and_says_where(entries, evidence):
    def spoilt(p):
        result = gradient(p)
        for index, value in entries.items():
            result["W"][index] = value
        return result

    report = check_gradients(loss, spoilt, parameters())
    finding = only_finding(report, codes.NOT_FINITE)
    assert finding.evidence == evidence
    assert finding.parameters == ("W",)
    assert verdicts(report) == {"W": "fail", "b": "pass"}
    assert report["W"].reason == evidence.removeprefix("W: ")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_leaves_everything_undecided(value):
    report = check_gradients(lambda p: value, gradient, parameters())
    finding = only_finding(report, codes.NOT_FINITE)
    assert finding.evidence == f"the loss is {value} at the given parameters"
    assert verdicts(report) == {"W": "inconclusive", "b": "inconclusive"}
    assert set(reasons(report).values()) == {f"not compared: the loss is {value}"}
    assert is_untouched(report)
    assert report.gradient_calls == 0


@pytest.mark.parametrize(
    ("value", "got"),
    [(B, "float64 array of shape (2,)"), (None, "None"), ({"loss": 1.0}, "dict")],
)
def test_a_loss_that_is_no_scalar_leaves_everything_undecided(value, got):
    report = check_gradients(lambda p: value, gradient, parameters())
    finding = only_finding(report, codes.LOSS_NOT_SCALAR)
    assert finding.evidence.startswith(f"loss must be one real number, got {got}")
    assert verdicts(report) == {"W": "inconclusive", "b": "inconclusive"}
    assert set(reasons(report).values()) == {"not compared: the loss is not one real number"}
    assert is_untouched(report)


def noisy(function, size, seed=0):
    """Return the function plus noise, different at every call."""
    generator = np.random.default_rng(seed)

    def jittered(p):
        value = function(p)
        if isinstance(value, dict):
            return value | {"b": value["b"] + size * generator.standard_normal(2)}
        return value + size * generator.standard_normal()

    return jittered


@pytest.mark.parametrize("size", [1e-6, 1e-2])
def test_a_random_loss_is_named_and_makes_a_right_gradient_inconclusive(size):
    report = check_gradients(noisy(loss, size), gradient, parameters())
    finding = next(f for f in report.findings if f.code == codes.NONDETERMINISTIC_LOSS.code)
    assert finding.severity == "note"
    # Both values are shown, and they differ.
    one, other = finding.evidence.removeprefix("two calls at the same parameters: ").split(" and ")
    assert float(one) != float(other)
    assert abs(float(one) - loss(parameters())) < 10 * size
    assert verdicts(report) == {"W": "inconclusive", "b": "inconclusive"}
    assert set(reasons(report).values()) == {"noise in the loss"}


def test_beyond_the_noise_a_wrong_gradient_fails_all_the_same():
    report = check_gradients(
        noisy(loss, 1e-6), lambda p: gradient(p) | {"W": 2 * p["W"]}, parameters()
    )
    assert verdicts(report) == {"W": "fail", "b": "inconclusive"}


def test_a_random_gradient_is_named_and_inconclusive():
    report = check_gradients(loss, noisy(gradient, 1e-3), parameters())
    finding = next(f for f in report.findings if f.code == codes.NONDETERMINISTIC_GRADIENT.code)
    assert finding.severity == "note"
    assert finding.parameters == ("b",)
    assert finding.evidence.startswith("b: two equal calls differ by up to ")
    assert 1e-5 < float(finding.evidence.rpartition(" ")[2]) < 1e-1
    assert verdicts(report) == {"W": "pass", "b": "inconclusive"}


def test_a_random_gradient_that_is_far_off_fails():
    report = check_gradients(
        loss, noisy(lambda p: gradient(p) | {"b": -gradient(p)["b"]}, 1e-3), parameters()
    )
    assert verdicts(report) == {"W": "pass", "b": "fail"}


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_changing_a_parameter_is_noticed_and_undone(what, in_place):
    given = parameters()

    def wrapped(function, guilty):
        def call(p):
            result = function(p)
            if guilty:
                p["W"] -= 0.1
            return result

        return (lambda: call(given)) if in_place else call

    problem = Problem(
        wrapped(loss, what == "loss"),
        wrapped(gradient, what == "gradient"),
        given,
        in_place=in_place,
    )
    report = check(problem)
    finding = only_finding(report, codes.MUTATES_PARAMETERS)
    assert finding.evidence == f"the {what} changed W"
    assert finding.parameters == ("W",)
    assert verdicts(report) == {"W": "fail", "b": "inconclusive"}
    assert reasons(report) == {
        "W": f"the {what} changes W",
        "b": f"not compared: {codes.MUTATES_PARAMETERS.title}",
    }
    assert np.array_equal(given["W"], W)
    assert is_untouched(report)


def test_a_gradient_that_adds_up_over_calls_fails_its_parameter():
    buffer = np.zeros_like(W)

    def accumulating(p):
        buffer.__iadd__(p["W"])
        return gradient(p) | {"W": buffer}

    report = check_gradients(loss, accumulating, parameters())
    finding = only_finding(report, codes.STATEFUL_GRADIENT)
    assert finding.evidence == "W: equal calls return more and more, the same amount each time"
    assert finding.parameters == ("W",)
    assert verdicts(report) == {"W": "fail", "b": "pass"}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_gradient_of_less_precision_is_noted_and_judged_by_it(dtype):
    exact = {"W": W, "b": np.array([0.75, 3.0])}  # the slopes are exact in either precision
    report = check_gradients(
        lambda p: 0.5 * np.sum(p["W"] ** 2) + np.sum(p["b"]) * 2,
        lambda p: {"W": p["W"].astype(dtype), "b": np.full(2, 2.0)},
        exact,
    )
    finding = next(f for f in report.findings if f.code == codes.WRONG_DTYPE.code)
    assert finding.evidence == f"W: {np.dtype(dtype)} numbers for a float64 parameter"
    assert finding.severity == "note"
    assert finding.parameters == ("W",)
    assert report["b"].findings == ()
    assert report["b"].verdict == "pass"
    assert report["W"].verdict != "fail"


def test_an_integer_gradient_is_noted_and_may_be_right():
    report = check_gradients(lambda x: 3.0 * np.sum(x), lambda x: np.array([3, 3]), B)
    finding = only_finding(report, codes.WRONG_DTYPE)
    assert finding.evidence == "x: int64 numbers for a float64 parameter"
    assert report.ok


def test_every_faulty_parameter_has_a_finding_of_its_own():
    def spoilt(p):
        return {"W": p["W"][0], "b": np.full(2, np.nan)}

    report = check_gradients(loss, spoilt, parameters())
    assert [(f.code, f.parameters) for f in report.findings] == [
        (codes.WRONG_SHAPE.code, ("W",)),
        (codes.NOT_FINITE.code, ("b",)),
    ]
    assert verdicts(report) == {"W": "fail", "b": "fail"}


def test_parameters_left_out_are_not_reported():
    report = check_gradients(
        loss, lambda p: gradient(p) | {"b": np.full(3, np.nan)}, parameters(), only="W"
    )
    assert verdicts(report) == {"W": "pass"}
    assert report.findings == ()


def test_a_stopped_check_still_reports_every_selected_parameter_in_order():
    report = check_gradients(lambda p: np.nan, gradient, parameters(), exclude="W")
    assert [(part.name, part.shape, part.dtype) for part in report.parameters] == [
        ("b", (2,), "float64")
    ]


@pytest.mark.parametrize(
    "right",
    [
        lambda x: +x,
        lambda x: x.copy(),
        lambda x: x.tolist(),
        lambda x: [tuple(row) for row in x],
        np.asfortranarray,
        lambda x: x.T.copy().T,
        W.copy(),
        W.tolist(),
    ],
    ids=[
        "of a ufunc",
        "copy",
        "list",
        "tuples",
        "fortran",
        "transposed twice",
        "ready",
        "ready list",
    ],
)
def test_a_right_gradient_is_not_accused_however_it_is_returned(right):
    report = check_gradients(lambda x: 0.5 * np.sum(x * x), right, W.copy())
    assert report.verdict == "pass"
    assert report.findings == ()


def test_a_right_gradient_in_python_floats_is_not_accused():
    report = check_gradients(
        lambda p: p["a"] ** 2 * p["b"],
        lambda p: {"a": 2 * p["a"] * p["b"], "b": p["a"] ** 2},
        {"a": 1.5, "b": -0.5},
    )
    assert report.verdict == "pass"
    assert report.findings == ()


def test_sums_in_another_order_are_not_randomness():
    generator = np.random.default_rng(0)
    X = generator.standard_normal((2000, 3))
    w = np.array([0.3, -0.2, 0.9])

    def shuffled(w):
        rows = generator.permutation(len(X))
        return (X[rows] * (X[rows] @ w)[:, None]).sum(axis=0)

    assert not np.array_equal(shuffled(w), shuffled(w))
    report = check_gradients(lambda w: 0.5 * np.sum((X @ w) ** 2), shuffled, w)
    assert report.verdict == "pass"
    assert report.findings == ()


def test_a_zero_gradient_is_not_an_accumulation():
    report = check_gradients(lambda x: np.sum(x**2), lambda x: 2 * x, np.zeros(3))
    assert report.verdict == "pass"
    assert [f.code for f in report.findings] == [codes.ALL_ZERO.code]
    assert report.findings[0].severity == "note"


def test_a_parameter_the_loss_ignores_passes_with_a_note():
    report = check_gradients(
        loss=lambda p: float(np.sum(p["W"] ** 2)),
        gradient=lambda p: {"W": 2 * p["W"], "b": 0 * p["b"]},
        parameters=parameters(),
    )
    assert verdicts(report) == {"W": "pass", "b": "pass"}
    assert only_finding(report, codes.ALL_ZERO).parameters == ("b",)


def test_codes_are_unique_and_complete():
    catalogue = [value for value in vars(codes).values() if isinstance(value, codes.Code)]
    assert len({code.code for code in catalogue}) == len(catalogue)
    assert len({code.slug for code in catalogue}) == len(catalogue)
    for code in catalogue:
        assert code.code.startswith("GC")
        assert code.title
        assert code.suggestion
        assert code.severity in ("error", "note")


def test_every_code_of_the_callables_and_of_the_limits_is_in_the_catalogue():
    slugs = {value.code: value.slug for value in vars(codes).values() if type(value) is codes.Code}
    callables = "wrong_structure wrong_shape wrong_dtype not_finite loss_not_scalar loss_raised"
    callables += " gradient_raised nondeterministic_loss nondeterministic_gradient"
    callables += " mutates_parameters mutates_data stateful_gradient aliased_output timed_out"
    limits = "kink limited_by_precision noisy_loss domain_edge budget_exhausted all_zero"
    expected = {f"GC{101 + number}": slug for number, slug in enumerate(callables.split())}
    expected |= {f"GC{121 + number}": slug for number, slug in enumerate(limits.split())}
    assert expected.items() <= slugs.items()
