"""The verify flag: every layer's answer is checked as it is computed, and the first wrong stops."""

from textwrap import wrap

from mlp import problems
from mlp.demos.catalogue import COLUMNS, Demo, Outcome, Settings
from mlp.faults.derivatives import missing_activation_derivative
from mlp.problem import Problem


def verified(problem: Problem, settings: Settings) -> tuple[list[str], list[str]]:
    """Return what a verifier tells of one backward pass, and what it raises: nothing if right."""
    verify = settings.verifier()
    raised: list[str] = []
    try:
        problem.network.backward(problem.parameters, *problem.args, verify=verify)
    except AssertionError as wrong:
        raised = str(wrong).splitlines()
    return str(verify).splitlines(), raised


def run(settings: Settings) -> Outcome:
    """Verify a backward pass that is right, and one whose second of three layers is not."""
    told, nothing = verified(problems.reference(settings.seed), settings)
    until, raised = verified(missing_activation_derivative(settings.seed), settings)
    lines = [
        "backward(parameters, inputs, targets, verify=gradcheck.layer_verifier())",
        "",
        *told,
        "",
        "Parameters and inputs were moved along random directions: every answer holds.",
        "Now layer2 forgets the derivative of its sigmoid. The pass stops there, and",
        "never asks layer1.",
        "",
        *until,
        "",
        *(part for line in raised for part in _folded(line)),
    ]
    raising: dict[str, float] = {"raised if right": bool(nothing), "raised if wrong": bool(raised)}
    return Outcome(tuple(lines), figures=raising)


def _folded(line: str) -> list[str]:
    """Return a line in parts that fit, all indented as it is."""
    indent = " " * (len(line) - len(line.lstrip()))
    return wrap(line, COLUMNS, subsequent_indent=indent + "  ")


DEMO = Demo("verified", "backward checks every layer as it goes, and stops", run)
