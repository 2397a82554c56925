"""The public names and how they are called: changing one is a decision, not an accident."""

import doctest
import inspect
import re
from importlib import import_module

import pytest

import gradcheck

NAMES = [
    "DescentMonitor",
    "Finding",
    "GradientInconclusive",
    "GradientMismatch",
    "GradientReport",
    "LayerReport",
    "NothingToCheck",
    "ParameterReport",
    "Problem",
    "__version__",
    "assert_gradients",
    "assert_layers",
    "check",
    "check_gradients",
    "check_layers",
    "layer_verifier",
    "numerical_gradient",
]
SHARED = [
    *["seed", "effort", "only", "exclude", "required_resolution"],
    *["method", "directions", "bounds", "reseed", "timeout", "budget", "vectorized"],
]
OPTIONS = {
    "check": ["name", *SHARED],
    "check_gradients": ["args", "name", "sizes", "layers", *SHARED],
    "assert_gradients": ["args", "name", "sizes", "layers", "allow_inconclusive", *SHARED],
    "check_layers": ["parameters", "name", "sizes", *SHARED],
    "assert_layers": ["parameters", "name", "sizes", "allow_inconclusive", *SHARED],
    "layer_verifier": ["perturbations", *SHARED],
}
POSITIONAL = {
    "check": ["problem"],
    "check_gradients": ["loss", "gradient", "parameters"],
    "assert_gradients": ["loss", "gradient", "parameters"],
    "check_layers": ["network", "inputs", "upstream_or_targets"],
    "assert_layers": ["network", "inputs", "upstream_or_targets"],
    "layer_verifier": [],
}
FIELDS_OF_PROBLEM = [
    *["loss", "gradient", "parameters", "args", "name", "sizes", "layers", "network", "in_place"]
]


def options(function):
    parameters = inspect.signature(getattr(gradcheck, function)).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def test_the_public_names_are_these():
    assert dir(gradcheck) == NAMES
    assert sorted(gradcheck.__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(gradcheck, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+", value)
    else:
        assert value.__name__ == name
        assert inspect.getdoc(value)


def test_all_names_can_be_imported_at_once():
    space = {}
    exec("from gradcheck import *", space)
    assert set(NAMES) <= set(space)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gradcheck' has no attribute 'chekc'"):
        _ = gradcheck.chekc


@pytest.mark.parametrize("function", OPTIONS)
def test_what_is_no_problem_is_an_option_by_keyword(function):
    parameters = inspect.signature(getattr(gradcheck, function)).parameters.values()
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == POSITIONAL[function]
    assert list(options(function)) == OPTIONS[function]
    assert len(parameters) == len(POSITIONAL[function]) + len(OPTIONS[function])


@pytest.mark.parametrize("function", ["check", "assert_gradients", "check_layers", "assert_layers"])
def test_shared_options_agree_in_default_and_type(function):
    reference, shared = options("check_gradients"), 0
    for name, option in options(function).items():
        if name in reference:
            assert (option.default, option.annotation) == (
                reference[name].default,
                reference[name].annotation,
            )
            shared += 1
    assert shared >= 6


@pytest.mark.parametrize("function", OPTIONS)
def test_the_defaults_of_the_main_options_are_these(function):
    given = options(function)
    effort = "quick" if function == "layer_verifier" else "auto"
    assert (given["seed"].default, given["effort"].default) == (0, effort)
    assert (given["method"].default, given["directions"].default) == ("auto", "random")
    others = ["only", "exclude", "required_resolution", "bounds", "reseed", "timeout", "budget"]
    for name in {*others, "name"} & set(given):
        assert given[name].default is None


@pytest.mark.parametrize("function", ["assert_gradients", "assert_layers"])
def test_inconclusive_is_not_let_through_by_default(function):
    assert options(function)["allow_inconclusive"].default is False


def test_the_fields_of_a_problem_are_these_in_this_order():
    assert list(inspect.signature(gradcheck.Problem).parameters) == FIELDS_OF_PROBLEM


def test_the_options_of_a_check_are_documented():
    text = inspect.getdoc(gradcheck.check_gradients)
    for name in ["loss", "gradient", "parameters", *OPTIONS["check_gradients"]]:
        assert re.search(rf"^(?:\w+, )*{name}(?:, \w+)*:", text, re.M), name


@pytest.mark.parametrize(
    "module", ["checking", "entries", "layered", "parameters", "problem", "testing", "verifying"]
)
def test_the_examples_in_docstrings_run(module):
    results = doctest.testmod(import_module(f"gradcheck.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
