"""Calls of the user's code that a diagnosis makes: limited in time, and never fatal."""

import sys
import time
from types import SimpleNamespace

import pytest

from gradcheck.budget import Budget
from gradcheck.calling import Caller
from gradcheck.diagnosis.asking import AskedLayer, AskedLoss, Asker, NotKnown


def test_what_a_function_returns_or_raises_comes_through():
    asker = Asker()
    assert asker.ask(lambda: 3, "three") == 3
    with pytest.raises(ZeroDivisionError, match="division"):
        asker.ask(lambda: 1 / 0, "quotient")


def test_no_call_is_made_once_the_budget_is_spent():
    now = [0.0]
    asker, calls = Asker(budget=Budget(5.0, lambda: now[0])), []
    asker.ask(lambda: calls.append(1), "call")
    now[0] = 5.0
    with pytest.raises(NotKnown, match="call"):
        asker.ask(lambda: calls.append(2), "call")
    assert calls == [1]


def test_what_took_too_long_once_is_not_asked_again_but_all_else_is():
    asker, calls = Asker(lambda: Caller(timeout=0.1)), []

    def hang():
        calls.append(1)
        time.sleep(30)

    for _ in range(3):
        with pytest.raises(NotKnown, match="backward"):
            asker.ask(hang, "backward")
    assert calls == [1]
    assert asker.ask(lambda: 3, "forward") == 3
    asker.close()


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_an_exit_is_not_known_and_an_interrupt_comes_through(timeout):
    def interrupt():
        raise KeyboardInterrupt

    asker = Asker(lambda: Caller(timeout=timeout))
    with pytest.raises(NotKnown, match="exit"):
        asker.ask(sys.exit, "exit")
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        asker.ask(interrupt, "interrupt")
    asker.close()


def test_a_layer_without_preactivations_has_none():
    layer = SimpleNamespace(name="a", forward=lambda p, x: (p, x), backward=lambda c, u: (u, c))
    asked = AskedLayer(layer, Asker())
    assert asked.preactivation is None
    assert asked.forward(1, 2) == (1, 2)
    assert asked.backward(1, 2) == (2, 1)
    layer.preactivation = lambda parameters, inputs: parameters + inputs
    assert AskedLayer(layer, Asker()).preactivation(1, 2) == 3


def test_what_a_layer_or_a_loss_need_not_have_is_asked_for_where_it_is_there():
    layer = SimpleNamespace(name="a", forward=None, backward=None)
    assert AskedLayer(layer, Asker()).activate is None
    assert AskedLayer(layer, Asker()).linear_in is None
    layer.activate, layer.linear_in = (lambda z: 2 * z), ("weight",)
    asker = Asker()
    assert AskedLayer(layer, asker).activate(3) == 6
    assert AskedLayer(layer, asker).linear_in == ("weight",)
    loss = SimpleNamespace(value=None)
    assert AskedLoss(loss, asker).per_sample is None
    loss.per_sample = lambda outputs, targets: outputs - targets
    assert AskedLoss(loss, asker).per_sample(5, 3) == 2
    assert asker.calls == 2
