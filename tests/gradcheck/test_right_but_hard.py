"""Gradients that are right but hard to confirm are never accused; their wrong twins are caught."""

import numpy as np
import pytest

from gradcheck import check_gradients

SEEDS = range(20)


def softmax(z):
    shifted = np.exp(z - z.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def bias_before_softmax(rng):
    """The loss does not depend on a bias added to all logits: its gradient is 0, plus rounding."""
    logits, target = rng.standard_normal(5), np.eye(5)[0]

    def loss(p):
        return float(np.log(np.exp(p["z"] + p["b"]).sum()) - (p["z"] + p["b"])[0])

    def gradient(p):
        error = softmax(p["z"] + p["b"]) - target
        return {"z": error, "b": np.sum(error)}

    return loss, gradient, {"z": logits, "b": 0.3}


def centred_bias(rng):
    """A bias in front of a batch normalisation, whose gradient is a sum that cancels."""
    x, y = rng.standard_normal((12, 3)), rng.standard_normal((12, 3))

    def normalised(p):
        z = x * p["w"] + p["b"]
        centred = z - z.mean(axis=0)
        spread = np.sqrt((centred**2).mean(axis=0) + 1e-5)
        return centred / spread, spread

    def loss(p):
        return 0.5 * float(np.mean((normalised(p)[0] - y) ** 2))

    def gradient(p):
        out, spread = normalised(p)
        d = (out - y) / y.size
        dz = (d - d.mean(axis=0) - out * (d * out).mean(axis=0)) / spread
        return {"w": (dz * x).sum(axis=0), "b": dz.sum(axis=0)}

    return loss, gradient, {"w": rng.uniform(0.5, 2.0, 3), "b": rng.standard_normal(3)}


def least_squares(rng, distance):
    inputs, solution = rng.standard_normal((16, 4)), rng.standard_normal(4)
    targets = inputs @ solution

    def loss(w):
        return 0.5 * float(np.sum((inputs @ w - targets) ** 2))

    def gradient(w):
        return inputs.T @ (inputs @ w - targets)

    return loss, gradient, solution + distance * rng.standard_normal(4)


def padded_rows(rng):
    """ReLU units at exactly 0 for rows of zeros: every entry sits on a kink."""
    inputs, weight = rng.standard_normal((8, 3)), rng.standard_normal((3, 4))
    inputs[:2] = 0.0
    out = rng.standard_normal(4)

    def loss(b):
        return float((np.maximum(inputs @ weight + b, 0.0) @ out).sum())

    def gradient(b):
        return ((inputs @ weight + b > 0) * out).sum(axis=0)

    return loss, gradient, np.zeros(4)


def loss_in_float32(rng):
    inputs, targets = rng.standard_normal((20, 4)), rng.standard_normal(20)

    def loss(w):
        return np.float32(np.mean((inputs @ w - targets) ** 2))

    def gradient(w):
        return 2 * inputs.T @ (inputs @ w - targets) / 20

    return loss, gradient, rng.standard_normal(4)


def rounded_loss(rng):
    point = rng.standard_normal(4)
    return (lambda x: round(float(np.sum(x**2)), 6)), (lambda x: 2 * x), point


def large_offset(rng):
    point = rng.standard_normal(6)
    return (lambda x: 1e12 + float(np.tanh(x).sum())), (lambda x: 1 / np.cosh(x) ** 2), point


def other_units(rng):
    """A stiffness of 1e11 and a ratio of 0.3 in one vector."""
    point = np.array([1e11, 0.3]) * rng.uniform(0.5, 2.0, 2)

    def loss(x):
        return float((x[0] / 1e11) ** 2 + np.exp(-(((x[1] - 1) / 0.5) ** 2)))

    def gradient(x):
        bump = np.exp(-(((x[1] - 1) / 0.5) ** 2))
        return np.array([2 * x[0] / 1e22, -8 * (x[1] - 1) * bump])

    return loss, gradient, point


def spanning(rng):
    """Entries of 1e-8 to 1e8 in one vector, each at work over its own size."""
    point = 10.0 ** np.linspace(-8, 8, 17) * rng.uniform(0.5, 2.0, 17)
    rate = rng.uniform(0.5, 2.0, 17) / point
    return (lambda x: float(np.sin(rate * x).sum())), (lambda x: rate * np.cos(rate * x)), point


def quantised(rng):
    quantum = rng.choice([0.01, 0.03, 0.1, 0.3])
    return (
        (lambda x: float(np.round(np.exp(x).sum() / quantum) * quantum)),
        np.exp,
        rng.standard_normal(3),
    )


def normal_equations(rng):
    """A gradient of zero as the difference of two large terms."""
    inputs, solution = rng.standard_normal((20, 3)), rng.standard_normal(3)
    targets = inputs @ solution
    square, projected = inputs.T @ inputs, inputs.T @ targets
    return (
        (lambda w: float(np.sum((inputs @ w - targets) ** 2))),
        (lambda w: 2 * (square @ w - projected)),
        solution,
    )


def entropy_of_the_unlikely(rng):
    """A slope that grows like a logarithm, beyond what steps from there can see."""
    point = rng.uniform(0.5, 2.0, 3)
    point[0] = 10.0 ** rng.uniform(-30, -14)
    return (lambda p: float(np.sum(p * np.log(p)))), (lambda p: 1 + np.log(p)), point


HARD = {
    "bias before a softmax": bias_before_softmax,
    "bias before a normalisation": centred_bias,
    "perfect fit": lambda rng: least_squares(rng, 0.0),
    "nearly perfect fit": lambda rng: least_squares(rng, 1e-10),
    "rows of zeros under a ReLU": padded_rows,
    "loss in float32": loss_in_float32,
    "rounded loss": rounded_loss,
    "large offset": large_offset,
    "other units": other_units,
    "spanning 1e-8 to 1e8": spanning,
    "quantised loss": quantised,
    "normal equations at their solution": normal_equations,
    "entropy of the unlikely": entropy_of_the_unlikely,
}
# Where the loss can show nothing, or any slope up to a large jump is a subgradient, a wrong
# gradient cannot be told from a right one.
SHOWS_NOTHING = {
    "perfect fit",
    "nearly perfect fit",
    "normal equations at their solution",
    "large offset",
    "quantised loss",
    "rows of zeros under a ReLU",
}
SHOWS_ENOUGH = set(HARD) - SHOWS_NOTHING


@pytest.mark.parametrize("name", HARD)
def test_right_gradient_is_never_accused(name):
    for seed in SEEDS:
        report = check_gradients(*HARD[name](np.random.default_rng(seed)), seed=seed)
        assert report.verdict != "fail", f"seed {seed}\n{report}"


@pytest.mark.parametrize("name", sorted(SHOWS_ENOUGH))
def test_wrong_twin_is_caught(name):
    for seed in SEEDS:
        loss, gradient, point = HARD[name](np.random.default_rng(seed))

        def wrong(p, gradient=gradient):
            found = gradient(p)
            if isinstance(found, dict):
                return found | {key: 1.1 * value for key, value in found.items()}
            return 1.1 * found + 0.1 * (found == 0.0)

        assert check_gradients(loss, wrong, point, seed=seed).verdict == "fail", f"seed {seed}"


@pytest.mark.parametrize("name", ["bias before a softmax", "bias before a normalisation"])
def test_parameter_that_the_loss_does_not_depend_on_passes_as_zero(name):
    for seed in SEEDS:
        report = check_gradients(*HARD[name](np.random.default_rng(seed)), seed=seed)
        assert report.verdict == "pass", f"seed {seed}\n{report}"
        assert [(f.slug, f.parameters) for f in report.findings] == [("all_zero", ("b",))]


def test_gradient_computed_in_float32_is_noted_and_judged_as_such():
    def gradient(x):
        return np.cos(x.astype(np.float32)).astype(np.float64)

    report = check_gradients(lambda x: float(np.sin(x).sum()), gradient, np.linspace(0.1, 2, 9))
    assert report.verdict == "pass"
    assert [finding.slug for finding in report.findings] == ["wrong_dtype"]


@pytest.mark.parametrize("seed", range(20))
def test_what_float32_leaves_of_a_saturated_gradient_is_rounding(seed):
    rng = np.random.default_rng(seed)
    upstream = rng.standard_normal((16, 10)).astype(np.float32)
    layer = {
        "x": 1000 * rng.standard_normal((16, 12)).astype(np.float32),
        "W": 0.3 * rng.standard_normal((12, 10)).astype(np.float32),
    }

    def loss(layer):
        return np.sum(upstream * np.tanh(layer["x"] @ layer["W"]))

    def gradient(layer):
        delta = upstream * (1 - np.tanh(layer["x"] @ layer["W"]) ** 2)  # 0 where tanh rounds to 1
        return {"x": delta @ layer["W"].T, "W": layer["x"].T @ delta}

    assert check_gradients(loss, gradient, layer, seed=seed, effort="quick").verdict != "fail"


def test_gradient_that_is_wrong_in_float32_only_is_no_rounding():
    def gradient(x):
        return (3 if x.dtype == np.float32 else 1) * 2 * x

    point = np.array([1.0, 2.5], dtype=np.float32)
    assert check_gradients(lambda x: np.sum(x**2), gradient, point).verdict == "fail"


def test_detached_parameter_in_other_units_is_caught():
    # The loss is flat in x[1:] a few steps away, which must not pass for a gradient of zero.
    def loss(x):
        return float((x[0] / 1e6) ** 2 + np.exp(-(((x[1:] - 1) / 0.5) ** 2)).sum())

    report = check_gradients(
        loss, lambda x: np.array([2 * x[0] / 1e12, 0, 0]), np.array([1e6, 0.3, 0.2])
    )
    assert report.verdict == "fail"


@pytest.mark.parametrize("effort", ["quick", "auto"])
@pytest.mark.parametrize("size", [1e-7, 1e-9, 1e-11, 1e-13])
def test_small_weights_are_no_hiding_place(size, effort):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        inputs, targets = rng.standard_normal((30, 8)), rng.standard_normal((30, 4))
        weights = rng.standard_normal((8, 4))
        weights[2, 1] = size

        def loss(w, inputs=inputs, targets=targets):
            return float(np.sum((inputs @ w - targets) ** 2))

        def gradient(w, sign, inputs=inputs, targets=targets):
            found = 2 * inputs.T @ (inputs @ w - targets)
            found[2, 1] *= sign
            return found

        options = {"effort": effort, "seed": seed}
        assert check_gradients(loss, lambda w: gradient(w, 1.0), weights, **options).ok
        assert not check_gradients(loss, lambda w: gradient(w, -1.0), weights, **options).ok


@pytest.mark.parametrize("height", [1e-290, 1e150, 1e170])
def test_losses_of_any_height_are_checked(height):
    point = np.array([1.0, 2.0, -0.5])
    report = check_gradients(lambda x: height * float(x @ x), lambda x: 2 * height * x, point)
    assert report.verdict == "pass"


def naive_cross_entropy(seed, logit=15.2):
    """A loss of which log(1 - q) goes in stairs, as 1 - q cancels, and its gradient."""
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((20, 4)), rng.standard_normal(4)
    x[0] *= logit / (x[0] @ w)
    t = (rng.random(20) > 0.5) * 1.0
    t[0] = 0

    def predicted(w):
        return 1 / (1 + np.exp(-(x @ w)))

    def loss(w):
        q = predicted(w)
        return float(-np.mean(t * np.log(q) + (1 - t) * np.log(1 - q)))

    return loss, lambda w: x.T @ (predicted(w) - t) / 20, w


def partly_single(seed):
    """A loss of which one term is computed in float32."""

    def loss(p):
        return float(np.sum(np.cosh(p))) + float(
            np.float32(0.1) * np.sum(p.astype(np.float32) ** 2)
        )

    return loss, lambda p: np.sinh(p) + 0.2 * p, np.random.default_rng(seed).uniform(-1, 1, 3)


@pytest.mark.parametrize("effort", ["quick", "auto"])
@pytest.mark.parametrize("make", [naive_cross_entropy, partly_single])
def test_a_loss_of_which_a_part_is_rounded_accuses_at_most_one_in_thirty(make, effort):
    # Within a stair the slope is that of the rest of the loss.
    verdicts = [check_gradients(*make(seed), effort=effort).verdict for seed in range(30)]
    assert verdicts.count("fail") <= 1


@pytest.mark.parametrize("make", [naive_cross_entropy, partly_single])
def test_what_is_wrong_by_much_in_such_a_loss_does_not_pass(make):
    for seed in range(10):
        loss, gradient, point = make(seed)
        report = check_gradients(loss, lambda p, g=gradient: -g(p), point)
        assert report.verdict != "pass"
