"""The functions of the gallery under the checker: right ones pass, bugs have known causes."""

import pytest

from gradcheck import check
from gradcheck.diagnosis import causes
from gradcheck.diagnosis.codes import Code
from gradcheck.targets import load_targets
from mlp import functions

SLUGS = {value.slug for value in vars(causes).values() if isinstance(value, Code)}


@pytest.mark.parametrize("name", functions.TWINS)
def test_correct_function_passes(name):
    assert check(functions.TWINS[name](0)).verdict == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 20))
def test_correct_functions_pass_at_other_points(seed):
    for twin in functions.TWINS.values():
        assert check(twin(seed)).verdict == "pass", twin.__name__


@pytest.mark.parametrize("name", functions.FAULTS)
def test_causes_of_a_bug_are_in_the_catalogue(name):
    fault = functions.FAULTS[name]
    assert fault.black_box
    assert fault.black_box <= SLUGS


@pytest.mark.usefixtures("project")  # away from a folder that has an mlp of its own
@pytest.mark.parametrize("name", ["batch_norm", "embedding_overwritten"])
def test_functions_and_their_bugs_are_targets(name):
    (target,) = load_targets(f"mlp.functions:{name}")
    assert target.name == f"mlp.functions:{name}"
    assert target.problem.name == name
