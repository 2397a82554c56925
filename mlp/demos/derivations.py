"""One gradient derived in four ways, side by side, number by number."""

from itertools import combinations

import numpy as np

from mlp import problems
from mlp.demos.catalogue import Demo, Outcome, Settings
from mlp.derivations import DERIVATIONS
from mlp.derivations.matrices import by_matrices
from mlp.derivations.quantities import Quantities
from mlp.derivations.warm_ups import one_weight, two_variables
from mlp.problem import Problem
from mlp.tape import value_and_gradient
from mlp.taped_networks import taped_gradient

# What the columns of one table are called, and the lines of the other.
SOURCES = {"hand": "by hand", "tape": "by tape", "matrices": "by matrices", "torch": "by torch"}
ON_THE_WAY = {
    "H_in": "h1_in, h2_in",
    "H": "h1, h2",
    "Y_in": "y1_in, y2_in",
    "Y": "y1, y2",
    "E": "e1, e2",
    "dL_dY": "dL/dy1, dL/dy2",
    "dL_dY_in": "dL/dy1_in, dL/dy2_in",
    "dL_dH": "dL/dh1, dL/dh2",
    "dL_dH_in": "dL/dh1_in, dL/dh2_in",
}
NETWORKS = (
    problems.reference,
    problems.digits,
    problems.deep_sigmoid,
    problems.relu,
    problems.leaky_relu,
)


def derived_in_every_way() -> dict[str, Quantities]:
    """Return what each way finds for instance 1; without those that are not installed."""
    problem = by_matrices()
    instance = [array[:1] for array in problem.args]
    found = {}
    for way, derive in DERIVATIONS.items():
        try:
            found[way] = derive(*problem.parameters.values(), *instance)
        except ModuleNotFoundError:
            continue
    return found


def by_weight(found: Quantities) -> dict[str, float]:
    """Return the partial derivatives by the eight weights, by name."""
    return {
        f"dL/d{letter}{i + 1}{j + 1}": float(slopes[i, j])
        for letter, slopes in (("w", found.dL_dW), ("v", found.dL_dV))
        for i, j in np.ndindex(2, 2)
    }


def compared(found: dict[str, Quantities]) -> tuple[list[str], float]:
    """Return the table of partial derivatives, and the largest relative difference in it."""
    columns = {way: by_weight(quantities) for way, quantities in found.items()}
    lines = [f"{'':9}" + "".join(f"{source:>17}" for source in SOURCES.values())]
    for name in columns["hand"]:
        cells = [
            f"{columns[way][name]:.9e}" if way in columns else "not installed" for way in SOURCES
        ]
        lines.append(f"{name:9}" + "".join(f"{cell:>17}" for cell in cells))
    difference = max(
        abs(one[name] - other[name]) / abs(one[name])
        for one, other in combinations(columns.values(), 2)
        for name in one
    )
    return lines, difference


def warmed_up(problem: Problem) -> str:
    """Return the derivatives of a function of one or two variables, by hand and by tape."""
    by_hand = problem.gradient(problem.parameters, *problem.args)
    value, by_tape = value_and_gradient(problem.loss)(problem.parameters, *problem.args)
    point = ", ".join(f"{name} = {at:g}" for name, at in problem.parameters.items())
    slopes = ", ".join(
        f"d/d{name} = {by_hand[name]:g} by hand, {by_tape[name]:g} by tape" for name in by_hand
    )
    return f"at {point}: {value:g}, {slopes}"


def second_opinion(problem: Problem) -> float:
    """Return how far backward and tape are apart, relative to the largest entry of each array."""
    by_layers = problem.gradient(problem.parameters, *problem.args)
    by_tape = taped_gradient(problem.network)(problem.parameters, *problem.args)
    return max(
        float(np.abs(slopes - by_tape[layer][key]).max() / np.abs(slopes).max())
        for layer, layer_slopes in by_layers.items()
        for key, slopes in layer_slopes.items()
    )


def run(settings: Settings) -> Outcome:
    """Derive the 2-2-2 network's loss of instance 1 in all ways, and compare."""
    found = derived_in_every_way()
    table, difference = compared(found)
    opinions = {make.__name__: second_opinion(make(settings.seed)) for make in NETWORKS}
    lines = (
        *("To warm up, (w x - t)**2 for x = 4 and t = 8, and 3 x**2 + 2 x y + 5", ""),
        *(warmed_up(problem) for problem in (one_weight(), two_variables())),
        *("", f"The 2-2-2 network: the loss of instance 1 is {found['hand'].loss:.16f}", ""),
        *table,
        *("", f"largest relative difference: {difference:.1e}"),
        *(() if "torch" in found else ("pip install torch adds the last column",)),
        *("", "On the way, by hand; _in is before the sigmoid", ""),
        *(
            f"{title:25}" + "".join(f"{unit:>25.16g}" for unit in getattr(found["hand"], name)[0])
            for name, title in ON_THE_WAY.items()
        ),
        *("", "Other networks: how far their layers' backward and the tape are apart", ""),
        *(f"{name:12} {apart:.1e}" for name, apart in opinions.items()),
    )
    figures = {"ways": len(found), "difference": difference, "opinions": max(opinions.values())}
    return Outcome(lines, figures=figures)


DEMO = Demo("derivations", "one gradient by hand, tape, matrices and PyTorch", run)
