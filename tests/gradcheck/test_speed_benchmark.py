"""The pieces of tests/benchmarks/speed.py, at the smallest network and without other tools."""

import importlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SEED = 3


@pytest.fixture(scope="module")
def module():
    """Import modules of the benchmarks, which are scripts beside the tests and no package."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def alone(module):
    """Leave out the other tools, which need not be installed: the plain loop is all there is."""
    contestants = module("speed_contestants")
    with pytest.MonkeyPatch.context() as patch:
        only = [peer for peer in contestants.installed() if peer.package == "numpy"]
        patch.setattr(contestants, "installed", lambda: tuple(only))
        yield


@pytest.fixture(scope="module")
def race(module, alone):
    return module("speed_race").run_race("S", 1, 0.05, {}, SEED)


@pytest.fixture(scope="module")
def letters(module, alone):
    """What our checks say of every third bug, to be quick."""
    power = module("speed_power")
    some = power.bugs_of("S")[::3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power, "asked_bugs", lambda size: some)
        return power.letters_of_all("S", SEED, 100)


def complex_step(loss, parameters, name, index):
    moved = {key: array.astype(complex) for key, array in parameters.items()}
    moved[name][index] += 1e-30j
    return loss(moved).imag / 1e-30


@pytest.mark.parametrize("size", ["S", "V"])
def test_the_gradient_is_that_of_the_loss(module, size):
    network = module("speed_networks").make_network(size, SEED)
    for name, found in network.gradient(network.parameters).items():
        for index in np.ndindex(found.shape[:1] if found.size > 20 else found.shape):
            place = index if len(index) == found.ndim else (*index, 0)
            exact = complex_step(network.loss, network.parameters, name, place)
            assert found[place] == pytest.approx(exact, rel=1e-9, abs=1e-16)


def test_layers_and_stacked_parameters_give_the_same_loss_and_gradient(module):
    networks = module("speed_networks")
    network = networks.make_network("S", SEED)
    problem = module("speed_layers").layered_problem(network)
    loss = network.loss(network.parameters)
    assert problem.loss(problem.parameters, *problem.args) == loss
    chain = problem.network
    assert chain.value(problem.parameters, *problem.args) == pytest.approx(loss, rel=1e-14)
    found = chain.gradient(problem.parameters, *problem.args)
    claimed = problem.gradient(problem.parameters, *problem.args)
    for layer, arrays in claimed.items():
        for key, array in arrays.items():
            np.testing.assert_allclose(found[layer][key], array, rtol=1e-12)
    stacked = {name: np.stack([array, 2 * array]) for name, array in network.parameters.items()}
    doubled = network.loss({name: 2 * array for name, array in network.parameters.items()})
    np.testing.assert_allclose(network.losses(stacked), [loss, doubled], rtol=1e-14)


def test_a_layer_that_tells_nothing_has_the_gradient_of_its_loss(module):
    problem = module("speed_layers").undeclared_problem(SEED)
    kernel = problem.gradient(problem.parameters, *problem.args)["convolution"]["kernel"]
    exact = []
    for place in range(len(kernel)):
        moved = problem.parameters["convolution"]["kernel"].astype(complex)
        moved[place] += 1e-30j
        layer = problem.parameters["convolution"] | {"kernel": moved}
        parameters = problem.parameters | {"convolution": layer}
        exact.append(problem.loss(parameters, *problem.args).imag / 1e-30)
    np.testing.assert_allclose(kernel, exact, rtol=1e-9)


def test_every_bug_makes_something_wrong_and_leaves_something_right(module):
    bugs = module("speed_bugs")
    network = module("speed_networks").make_network("S", SEED)
    assert [len(bugs.bugs_of(size)) for size in ("S", "M", "L", "XL", "V")] == [12, 12, 11, 11, 2]
    for bug in bugs.bugs_of("S"):
        truth = bugs.truth_of(network, bug.gradient(network)(network.parameters))
        assert truth.names
        whole = bug.title in ("× 2", "no 1/batch")
        assert whole == (truth.names == set(network.parameters)), bug.title


def test_letters_tell_how_exactly_a_bug_was_named(module):
    bugs = module("speed_bugs")
    wrong = {"a": np.array([True, False]), "b": np.array([False])}
    right = {"a": np.array([False, True]), "b": np.array([True])}
    truth = bugs.Truth(wrong, right)
    a, b = frozenset("a"), frozenset("b")
    said = {
        ".": bugs.Said(False),
        "D": bugs.Said(True),
        "!": bugs.Said(True, a | b),
        "P": bugs.Said(True, a, {"a": np.array([True, True])}),
        "E": bugs.Said(True, a, {"a": np.array([True, False])}),
    }
    assert {letter: bugs.grade(truth, one) for letter, one in said.items()} == {
        letter: letter for letter in said
    }
    both = bugs.Truth({"a": wrong["a"], "b": np.array([True])}, right)
    assert bugs.grade(both, bugs.Said(True, b)) == "p"


def test_our_checks_name_what_is_wrong_and_nothing_where_all_is_right(letters):
    own = {title: dict(seen) for title, seen in letters.items() if title.startswith("gradcheck")}
    assert "gradcheck, quick" in own
    for seen in own.values():
        assert seen.pop("right") == "."
        assert set(seen.values()) <= {"P", "E"}


def test_everything_runs_in_the_race_and_is_compared_with_the_plain_loop(module, race, letters):
    contestants = module("speed_contestants")
    titles = {contestants.PLAIN_LOOP, *(own.title for own in contestants.own_checks())}
    assert titles <= set(race.costs)
    assert race.evaluations(contestants.PLAIN_LOOP) == 2 * 46
    assert all(race.speedup(title) > 0 for title in titles)
    table = module("speed_tables").race_table(race, letters, {}, {})
    assert table.count("\n") == 1 + len(race.costs)
    assert "4 of 4" in table


def test_what_takes_too_long_is_stopped_and_extrapolated(module, alone):
    contestants, networks = module("speed_contestants"), module("speed_networks")
    network, title = networks.make_network("M", SEED), contestants.PLAIN_LOOP
    (loop,) = contestants.contestants("M", network, {title: 2.0}, only=title)
    cost = loop.cost(0.02)
    assert cost.is_part
    assert cost.evaluations == 2 * network.count
    assert cost.seconds > 0.04


def test_a_bound_is_met_not_met_or_not_measured(module):
    bounds = module("speed_bounds")
    assert bounds.at_most("a", 2.0, 2.0).met is True
    assert bounds.at_least("a", 2.0, 1.9).met is False
    assert bounds.at_most("a", 2.0, math.nan).met is None
    assert bounds.exactly_named("a", ["E", "P"], entries=True).met is False
    assert bounds.exactly_named("a", ["E", "P"], entries=False).met is True
    table = bounds.table({"one": [bounds.at_most("a", 2.0, 3.0)]})
    assert "NOT MET" in table


def test_gradients_that_the_user_returns_do_not_count_as_memory_of_the_check(module):
    memory, networks = module("speed_memory"), module("speed_networks")
    network = networks.make_network("M", SEED)
    unseen = memory.replace(network, allocate=memory._unseen)
    gradients = memory._traced(lambda: [unseen.gradient(network.parameters) for _ in range(20)])
    assert gradients < 5 * 8 * network.count
    assert memory.growth_beyond_user(network, effort="quick") > 8 * network.count / 2


def test_starts_are_compared_with_an_import_of_numpy(module, monkeypatch):
    starts = module("speed_starts")
    monkeypatch.delitem(starts.WORDS, starts.REFERENCE)  # to be quick
    found = starts.Starts({starts.NUMPY: [0.1, 0.2], starts.HELP: [0.2, 0.2]})
    assert found.ratio(starts.HELP) == pytest.approx(1.5)
    assert set(starts.run_starts(1).seconds) == {starts.NUMPY, starts.HELP}


def test_parameters_are_looked_at_bit_by_bit_after_checks_that_end_early(module, monkeypatch):
    screening = module("speed_screening")
    assert [bound.met for bound in screening._restored()] == [True, True]

    def careless(problem, **_):
        problem.parameters["b1"][0] += 0.0  # which makes 0.0 of -0.0

    monkeypatch.setattr(screening.gradcheck, "check", careless)
    assert [bound.met for bound in screening._restored()] == [False, False]


def test_the_report_has_the_bounds_first_and_says_how_it_was_made(module, race, letters):
    report, bounds = module("speed_report"), module("speed_bounds")
    found = {"one": [bounds.at_most("so long", 2.0, 3.0)]}
    measured = report.Measured({"S": race}, {"S": letters}, {}, {}, found)
    text = report.written(measured, module("speed_extent").QUICK, "the command", 60.0)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[1] == "## Bounds"
    assert headings[-1] == "## What is said of every bug at S"
    assert "`the command` in 1 minutes" in text
    assert "so long" in text


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")  # what other tools warn of is no matter here
def test_every_tool_that_is_installed_tells_a_doubled_gradient_from_a_right_one(module):
    peers, networks = module("speed_peers"), module("speed_networks")
    network = networks.make_network("S", SEED)

    def doubled(parameters):
        return {name: 2 * array for name, array in network.gradient(parameters).items()}

    gradients = {"right": network.gradient, "doubled": doubled}
    for peer in peers.installed():
        if peer.shows_rights:
            said = peers.said_of(peer, network, gradients)
            alarms = [said["right"].alarm, said["doubled"].alarm]
            assert alarms == [False, True], peer.title
        else:
            check = peer.prepare(module("speed_clock").Counted(network), network.gradient)
            assert not check().alarm, peer.title
