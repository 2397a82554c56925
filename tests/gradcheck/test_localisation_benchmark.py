"""A reduced run of tests/benchmarks/localisation.py: a smaller network, the same requirements."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SIZES, BATCH = (60, 40, 30, 10), 16
SEEDS = range(2)
# Left out, to be quick.
TOO_MANY = "100 entries"


@pytest.fixture(scope="module")
def benchmark():
    """The benchmark, a script beside the tests and no package."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("localisation")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def made(benchmark):
    """All attempts on two small networks, by way to be wrong and locator."""
    network = benchmark.Network(SIZES, BATCH)
    ways = [wrong for wrong in benchmark.WRONG[benchmark.LARGE] if wrong.title != TOO_MANY]
    benchmark.WRONG[network] = ways
    attempts = benchmark.attempts(network, SEEDS.start, len(SEEDS))
    del benchmark.WRONG[network]
    return {(ways[number], name): each for (number, name), each in attempts.items()}


def test_nothing_is_accused_falsely(made):
    assert sum(each.false for attempts in made.values() for each in attempts) == 0


def test_few_evaluations_locate_all_that_the_probes_see(benchmark, made):
    for (wrong, name), attempts in made.items():
        if wrong.most is not None and name == "gradcheck":
            assert "NOT MET" not in benchmark.row(wrong, "gradcheck", attempts)[4], wrong.title
            if wrong.relative != benchmark.SLIGHT:
                assert all(each.found == each.wrong for each in attempts), wrong.title


def test_bisection_takes_more(benchmark, made):
    for (wrong, name), attempts in made.items():
        if name == "bisection" and wrong.relative != benchmark.SLIGHT:
            least = sum(each.evaluations for each in made[wrong, "gradcheck"])
            assert least < sum(each.evaluations for each in attempts), wrong.title


def test_a_whole_weight_is_called_dense(made):
    attempts = [each for (wrong, _), each in made.items() if wrong.title == "all of W1"]
    assert attempts
    assert all(each.dense for each in attempts[0])


def test_missed_entries_are_counted_by_what_was_said_of_them(made):
    for attempts in made.values():
        for each in attempts:
            missed = each.unseen + each.admitted + each.hidden
            assert each.found + missed == each.wrong
