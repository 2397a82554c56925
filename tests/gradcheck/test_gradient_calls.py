"""GC112 and GC113: gradients that depend on earlier calls, and arrays that are not their own."""

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients
from gradcheck.diagnosis import codes
from gradcheck.execution import Evaluator
from gradcheck.preflight import run_preflight

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.standard_normal((20, 3)), GENERATOR.standard_normal((20, 2))
W, B = GENERATOR.standard_normal((3, 2)), GENERATOR.standard_normal(2)


class Network:
    """A layer of tanh units whose backward pass uses what the last forward pass kept."""

    def __init__(self):
        self.W, self.b = W.copy(), B.copy()
        self.calls = {"forward": 0, "backward": 0}

    @property
    def live(self):
        return {"W": self.W, "b": self.b}

    def forward(self):
        self.calls["forward"] += 1
        self.outputs = np.tanh(X @ self.W + self.b)
        return 0.5 * float(np.sum((self.outputs - Y) ** 2))

    def backward(self):
        self.calls["backward"] += 1
        delta = (self.outputs - Y) * (1 - self.outputs**2)
        return {"W": X.T @ delta, "b": delta.sum(axis=0)}

    def forward_and_backward(self):
        self.forward()
        return self.backward()

    def loss_of(self, p):
        self.W, self.b = p["W"], p["b"]
        return self.forward()

    def gradient_of(self, p):
        self.W, self.b = p["W"], p["b"]
        return self.forward_and_backward()


def live(net, backward=None):
    return Problem(net.forward, backward or net.backward, net.live, in_place=True)


def parameters():
    return {"W": W.copy(), "b": B.copy()}


def verdicts(report):
    return {part.name: part.verdict for part in report.parameters}


def only_finding(report, code, severity):
    (finding,) = report.findings
    assert (finding.code, finding.slug, finding.title) == (code.code, code.slug, code.title)
    assert finding.severity == severity
    assert finding.suggestion
    return finding


def test_a_function_whose_gradient_belongs_to_the_last_loss_fails():
    net = Network()
    report = check_gradients(net.loss_of, lambda p: net.backward(), parameters())
    assert verdicts(report) == {"W": "fail", "b": "fail"}
    for finding, name in zip(report.findings, "Wb", strict=True):
        assert (finding.slug, finding.severity) == ("stateful_gradient", "error")
        assert finding.parameters == (name,)
        assert finding.evidence.startswith(
            f"{name}: called after the loss at other parameters and not at these, it differs by up"
        )
        assert 1e-3 < float(finding.evidence.rpartition(" ")[2]) < 10


def test_only_the_parameters_that_use_what_was_left_behind_fail():
    net = Network()

    def gradient(p):
        stale = net.backward()
        return net.gradient_of(p) | {"b": stale["b"]}

    report = check_gradients(net.loss_of, gradient, parameters())
    assert verdicts(report) == {"W": "pass", "b": "fail"}
    assert only_finding(report, codes.STATEFUL_GRADIENT, "error").parameters == ("b",)


def test_an_object_may_keep_its_forward_pass_and_a_note_says_so():
    net = Network()
    report = check(live(net))
    assert verdicts(report) == {"W": "pass", "b": "pass"}
    finding = only_finding(report, codes.STATEFUL_GRADIENT, "note")
    assert finding.parameters == ("W", "b")
    assert "wherever the loss was evaluated last" in finding.evidence
    assert "evaluate the loss before every call" in finding.suggestion
    calls = {"forward": report.evaluations, "backward": report.gradient_calls}
    assert net.calls == calls


def test_the_gradient_of_such_an_object_is_compared_right_after_the_loss_at_the_point():
    net = Network()
    report = check(live(net, lambda: net.backward() | {"b": 1.001 * net.backward()["b"]}))
    assert verdicts(report) == {"W": "pass", "b": "fail"}
    assert report["W"].worst.relative_error < 1e-8


def test_such_an_object_is_asked_for_its_loss_before_every_gradient():
    net = Network()
    evaluator = Evaluator(live(net))
    found = evaluator.gradient_at({"W": 2 * W}, ["W", "b"])
    assert (evaluator.evaluations, evaluator.gradient_calls) == (1, 1)
    net.W[...] = 2 * W
    for name, expected in net.forward_and_backward().items():
        assert np.array_equal(found[name], expected)


def test_an_object_whose_backward_pass_runs_the_forward_pass_has_no_note():
    net = Network()
    report = check(live(net, net.forward_and_backward))
    assert (report.verdict, report.findings) == ("pass", ())


def test_a_forward_pass_that_can_be_used_once_only_is_fine():
    net = Network()

    def backward():
        result = net.backward()
        del net.outputs
        return result

    net.forward()
    assert check(live(net, backward)).verdict == "pass"


def test_a_gradient_that_refuses_without_the_loss_before_is_called_after_it():
    net = Network()

    def gradient(p):
        if not (np.array_equal(net.seen["W"], p["W"]) and np.array_equal(net.seen["b"], p["b"])):
            raise RuntimeError("the loss was evaluated elsewhere")
        return net.backward()

    def loss(p):
        net.seen = {name: array.copy() for name, array in p.items()}
        return net.loss_of(p)

    report = check_gradients(loss, gradient, parameters())
    assert (report.verdict, report.findings) == ("pass", ())
    wrong = check_gradients(loss, lambda p: gradient(p) | {"b": B}, parameters())
    assert verdicts(wrong) == {"W": "pass", "b": "fail"}


def test_a_cache_that_knows_the_parameters_by_value_is_fine():
    net = Network()
    kept = {}

    def both(p):
        if not kept or any(not np.array_equal(kept["at"][name], p[name]) for name in p):
            kept["at"] = {name: array.copy() for name, array in p.items()}
            kept["value"] = net.loss_of(p)
            kept["gradient"] = net.backward()
        return kept["value"], kept["gradient"]

    report = check_gradients(lambda p: both(p)[0], lambda p: both(p)[1], parameters())
    assert (report.verdict, report.findings) == ("pass", ())
    report = check_gradients(None, both, parameters())
    assert (report.verdict, report.findings) == ("pass", ())


def test_what_is_computed_at_the_first_call_and_kept_is_fine():
    kept = {}

    def gradient(w):
        if not kept:
            kept["XX"], kept["Xy"] = X.T @ X, X.T @ Y[:, 0]
        return kept["XX"] @ w - kept["Xy"]

    report = check_gradients(lambda w: 0.5 * np.sum((X @ w - Y[:, 0]) ** 2), gradient, W[:, 0])
    assert (report.verdict, report.findings) == ("pass", ())


def test_a_gradient_that_is_all_rounding_depends_on_nothing():
    w = np.linalg.lstsq(X, Y[:, 0], rcond=None)[0]
    calls = iter(range(100))

    def gradient(w):  # sums in one order and the other in turn
        rows = slice(None, None, -1 if next(calls) % 2 else 1)
        return (X[rows] * (X[rows] @ w - Y[rows, 0])[:, None]).sum(axis=0)

    report = check_gradients(lambda w: 0.5 * np.sum((X @ w - Y[:, 0]) ** 2), gradient, w)
    assert "GC112" not in [finding.code for finding in report.findings]
    assert report.verdict != "fail"


@pytest.mark.parametrize("tolerance", [1e-12, 1e-8, 1e-4])
def test_a_solver_that_starts_where_it_stopped_is_not_accused(tolerance):
    state = {"root": 1.0}

    def root(x):  # of r**2 = x, by a damped iteration that keeps its last result
        for _ in range(200):
            if abs(state["root"] ** 2 - x[0]) <= tolerance:
                break
            state["root"] -= 0.3 * (state["root"] ** 2 - x[0]) / (2 * state["root"])
        return state["root"]

    report = check_gradients(root, lambda x: np.array([0.5 / root(x)]), np.array([2.0]))
    assert "GC112" not in [finding.code for finding in report.findings]


def remembering(gradient):
    """Return the loss sum(x**3), and a gradient that is told where the loss was last evaluated."""
    kept = {}

    def loss(p):
        kept["x"] = p["x"].copy()
        return float(np.sum(p["x"] ** 3))

    return loss, lambda p: gradient(p, is_away=not np.array_equal(kept["x"], p["x"]))


def test_a_difference_far_smaller_than_on_the_way_is_randomness():
    loss, gradient = remembering(lambda p, is_away: {"x": 3 * p["x"] ** 2 * (1 + 1e-8 * is_away)})
    report = check_gradients(loss, gradient, {"x": B})
    assert [finding.code for finding in report.findings] == ["GC109"]
    assert report.verdict == "pass"


def test_the_rounding_of_a_gradient_that_is_zero_depends_on_nothing():
    loss, gradient = remembering(
        lambda p, is_away: {
            "x": 3 * p["x"] ** 2,
            "shift": np.full(1, 1e-17 * (2 if is_away else 1) * p["shift"]),
        }
    )
    report = check_gradients(loss, gradient, {"x": B, "shift": np.ones(1)})
    assert "GC112" not in [finding.code for finding in report.findings]
    assert report.verdict != "fail"


def test_after_a_stale_gradient_every_other_is_asked_for_after_the_loss():
    loss, gradient = remembering(
        lambda p, is_away: {"x": 3 * p["x"] ** 2, "y": p["x"][:1] * (1 + 0.01 * is_away)}
    )
    evaluator = Evaluator(Problem(loss, gradient, {"x": B, "y": np.ones(1)}))
    assert not evaluator.loss_first
    flight = run_preflight(evaluator, ("x", "y"))
    assert list(flight.failed) == ["y"]
    assert evaluator.loss_first
    found = evaluator.gradient_at({"x": 2 * B}, ["y"])
    assert found["y"].tolist() == [2 * B[0]]


@pytest.mark.parametrize("seed", range(10))
def test_a_mask_that_the_loss_draws_and_the_gradient_uses_is_randomness(seed):
    generator = np.random.default_rng(seed)
    kept = {}

    def loss(x):
        kept["mask"] = generator.integers(0, 2, x.size)
        return float(np.sum(kept["mask"] * x**3))

    report = check_gradients(loss, lambda x: kept["mask"] * 3 * x**2, np.array([1.0]))
    assert "GC112" not in [finding.code for finding in report.findings]
    report = check_gradients(loss, lambda x: kept["mask"] * 3 * x**2, np.ones(3), reseed=generator)
    assert report.verdict == "pass"


@pytest.mark.parametrize("seed", range(10))
def test_a_gradient_that_draws_a_coin_is_random_and_not_stateful(seed):
    generator = np.random.default_rng(seed)
    report = check_gradients(
        lambda x: float(np.sum(x**3)),
        lambda x: 3 * x**2 * (1 + 0.5 * generator.integers(0, 2)),
        np.array([1.0, 2.0]),
    )
    assert "GC112" not in [finding.code for finding in report.findings]


def test_a_generator_in_args_is_randomness():
    report = check_gradients(
        lambda x, g: float(np.sum(x**2) * g.random()),
        lambda x, g: 2 * x * g.random(),
        W,
        args=(np.random.default_rng(0),),
    )
    assert {finding.code for finding in report.findings} >= {"GC108", "GC109"}
    assert not any(finding.severity == "error" for finding in report.findings)


def test_a_gradient_that_cannot_be_called_elsewhere_is_not_accused():
    def gradient(x):
        if not np.array_equal(x, W):
            raise ValueError("elsewhere")
        return 2 * x

    report = check_gradients(lambda x: float(np.sum(x**2)), gradient, W)
    assert (report.verdict, report.findings) == ("pass", ())


def reusing(buffer):
    """Return a right gradient of half the sum of squares, always in the same array."""

    def gradient(p):
        np.copyto(buffer, p["W"])
        return {"W": buffer, "b": 2 * p["b"]}

    return gradient


def square_sum(p):
    return float(0.5 * np.sum(p["W"] ** 2) + np.sum(p["b"] ** 2))


def test_an_array_that_a_later_call_overwrites_fails_its_parameter():
    report = check_gradients(square_sum, reusing(np.empty_like(W)), parameters())
    finding = only_finding(report, codes.ALIASED_OUTPUT, "error")
    assert finding.evidence == "W: the array that one call returned was changed by a later call"
    assert finding.parameters == ("W",)
    assert verdicts(report) == {"W": "fail", "b": "pass"}
    assert report["W"].reason == finding.evidence.removeprefix("W: ")


def test_an_object_may_own_the_arrays_it_returns_and_a_note_says_so():
    net = parameters()
    gradient = reusing(np.empty_like(W))
    report = check(Problem(lambda: square_sum(net), lambda: gradient(net), net, in_place=True))
    finding = only_finding(report, codes.ALIASED_OUTPUT, "note")
    assert finding.evidence == "the arrays that one call returned were changed by a later call"
    assert finding.parameters == ("W",)
    assert report.verdict == "pass"


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[...], lambda x: x.T.T, np.asarray])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_gradient_in_the_memory_of_its_parameter_is_noted_and_may_be_right(view, in_place):
    x = W.copy()

    def loss(x=x):
        return 0.5 * float(np.sum(x**2))

    report = check(Problem(loss, lambda x=x: view(x), x, in_place=in_place))
    finding = only_finding(report, codes.ALIASED_OUTPUT, "note")
    assert finding.evidence.startswith("it lies in the memory of x, ")
    assert finding.parameters == ("x",)
    assert report.verdict == "pass"


def test_a_gradient_in_the_memory_of_another_parameter_is_noted():
    report = check_gradients(
        lambda p: float(p["a"] @ p["b"]),
        lambda p: {"a": p["b"], "b": p["a"].copy()},
        {"a": B, "b": 2 * B},
    )
    finding = only_finding(report, codes.ALIASED_OUTPUT, "note")
    assert finding.evidence.startswith("it lies in the memory of b, ")
    assert finding.parameters == ("a",)
    assert report.verdict == "pass"


def test_a_complex_gradient_in_the_memory_of_its_parameter_is_noted():
    report = check_gradients(lambda z: 0.5 * float(np.sum(abs(z) ** 2)), lambda z: z, B + 1j)
    assert only_finding(report, codes.ALIASED_OUTPUT, "note").parameters == ("x",)
    assert report.verdict == "pass"


def test_neighbours_in_one_array_do_not_share_memory():
    whole = np.empty((3, 2))
    x, slope = whole[:, 0], whole[:, 1]
    x[...] = [1.0, 2.0, 3.0]

    def gradient():
        slope[...] = 2 * x
        return slope.copy(), slope

    for part in (0, 1):
        report = check(
            Problem(lambda: float(x @ x), lambda part=part: gradient()[part], x, in_place=True)
        )
        assert report.verdict == "pass"
        assert not any("lies in the memory" in finding.evidence for finding in report.findings)


def test_a_gradient_that_is_a_view_of_the_data_is_nobodys_business():
    report = check_gradients(lambda w, a: float(w @ a), lambda w, a: a, B, args=(np.ones(2),))
    assert (report.verdict, report.findings) == ("pass", ())


@pytest.mark.parametrize("in_place", [False, True])
def test_a_gradient_given_as_ready_arrays_is_neither(in_place):
    x = W.copy()

    def loss(x=x):
        return 0.5 * float(np.sum(x**2))

    report = check(Problem(loss, x, x, in_place=in_place))
    assert report.gradient_calls == 0
    if in_place:  # the ready array is the live one: it moves with it
        assert report.findings == ()
    else:
        assert (report.verdict, report.findings) == ("pass", ())


def test_a_buffer_that_only_the_loss_uses_is_fine():
    scratch = np.empty_like(W)

    def loss(x):
        np.multiply(x, x, out=scratch)
        return float(scratch.sum())

    report = check_gradients(loss, lambda x: 2 * x, W)
    assert (report.verdict, report.findings) == ("pass", ())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_staleness_is_seen_in_either_precision(dtype):
    kept = {}

    def loss(x):
        kept["x"] = x.copy()
        return np.sum(x**3)

    report = check_gradients(loss, lambda x: 3 * kept["x"] ** 2, W.astype(dtype))
    assert report.verdict == "fail"
    assert "GC112" in [finding.code for finding in report.findings]
