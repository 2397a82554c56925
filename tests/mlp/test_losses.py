"""Loss values against closed forms, their gradients against the complex step."""

import numpy as np
import pytest

from mlp.losses import (
    Loss,
    half_mean_squared_norm,
    mean_squared_error,
    softmax_cross_entropy,
    sum_of_squares,
)

LOSSES = [half_mean_squared_norm, sum_of_squares, mean_squared_error, softmax_cross_entropy]
OUTPUTS = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])
TARGETS = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
# Squares of OUTPUTS - TARGETS: 1 + 9 + 1/4 and 4 + 1/16 + 1.
ROW_SQUARES = np.array([10.25, 5.0625])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda item: item.name)
def test_gradient_agrees_with_the_complex_step(loss):
    numerical = np.empty_like(OUTPUTS)
    for index in np.ndindex(OUTPUTS.shape):
        moved = OUTPUTS.astype(complex)
        moved[index] += 1e-30j
        numerical[index] = loss.value(moved, TARGETS).imag / 1e-30
    np.testing.assert_allclose(loss.gradient(OUTPUTS, TARGETS), numerical, rtol=1e-13)
    assert np.all(numerical != 0)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (half_mean_squared_norm, ROW_SQUARES.sum() / 2 / 2),
        (sum_of_squares, ROW_SQUARES.sum()),
        (mean_squared_error, ROW_SQUARES.sum() / 6),
    ],
    ids=lambda item: getattr(item, "name", ""),
)
def test_squared_loss_divides_by_what_its_name_says(loss, expected):
    assert loss.value(OUTPUTS, TARGETS) == pytest.approx(expected, rel=1e-15)


def test_softmax_cross_entropy_is_the_mean_negative_log_probability():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    loss = softmax_cross_entropy.value(np.log(probabilities), TARGETS)
    assert loss == pytest.approx(-(np.log(0.25) + np.log(0.1)) / 2, rel=1e-15)


def test_softmax_cross_entropy_takes_logits_of_any_size():
    logits = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]])
    targets = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert softmax_cross_entropy.value(logits, targets) == 1000.0
    np.testing.assert_array_equal(
        softmax_cross_entropy.gradient(logits, targets), [[0.5, -0.5], [0, 0]]
    )


@pytest.mark.parametrize("loss", LOSSES, ids=lambda item: item.name)
def test_loss_keeps_the_dtype(loss):
    outputs, targets = OUTPUTS.astype(np.float32), TARGETS.astype(np.float32)
    assert loss.value(outputs, targets).dtype == np.float32
    assert loss.gradient(outputs, targets).dtype == np.float32


@pytest.mark.parametrize("loss", LOSSES, ids=lambda item: item.name)
def test_loss_is_the_sum_or_the_mean_of_what_each_sample_loses(loss):
    apart = [loss.value(OUTPUTS[n : n + 1], TARGETS[n : n + 1]) for n in range(2)]
    np.testing.assert_allclose(loss.per_sample(OUTPUTS, TARGETS), apart, rtol=1e-15)
    whole = sum(apart) if loss is sum_of_squares else sum(apart) / 2
    assert loss.value(OUTPUTS, TARGETS) == pytest.approx(whole, rel=1e-15)


def test_loss_needs_no_losses_of_samples():
    assert Loss("coupled", lambda y, t: np.max(y), lambda y, t: y).per_sample is None
