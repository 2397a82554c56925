"""How large the gradient is, layer by layer: whether it vanishes or explodes on the way down.

An entry of a gradient has the unit of the loss over that of its parameter, and so a factor of ten
between two layers says nothing: inputs in another unit make one. What is said here is seen in
matrices and in vectors, which inputs in another unit do not change alike, and in more than one
step from a layer to the next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from gradcheck.problem import Problem, network_layers
from gradcheck.report import LayerReport, ParameterReport, combined_size

# By one step of plain gradient descent the one layer learns a thousand times less than the other.
# Up to twenty layers with the initialisation meant for them stay below fifty.
LARGE_FOLD = 1e3
# One step alone may come from how inputs or outputs are scaled: the others have their share in it.
LEAST_WITHOUT_LARGEST_STEP = LARGE_FOLD**0.5

LEAST_LAYERS = 3  # with fewer there is but one step
MOST_NAMED = 5

_NUMBERED = re.compile(r"(.*?)(\d+)")


def size_notes(problem: Problem, layers: Sequence[LayerReport]) -> Iterator[str]:
    """Yield a note where the analytic gradients of layers in a chain shrink, or grow, manifold.

    Nothing where one of them is wrong: its size is then no news about the network.
    """
    chain = _chain(problem, layers)
    if any(layer.verdict == "fail" for layer in chain):
        return
    sizes = _sizes([layer.parameters for layer in chain])
    if len(sizes) < LEAST_LAYERS:
        return
    kinds = (_sizes(_of_kind(chain, matrices)) for matrices in (True, False))
    told = [list(kind.values()) for kind in (sizes, *kinds) if len(kind) >= LEAST_LAYERS]
    if all(_grows(kind) for kind in told):
        yield _note(chain, sizes, "analytic gradients vanish: they shrink")
    if all(_grows(kind[::-1]) for kind in told):
        yield _note(chain, sizes, "analytic gradients explode: they grow")


def _chain(problem: Problem, layers: Sequence[LayerReport]) -> list[LayerReport]:
    """Return layers that follow one another, inputs first; [] where nothing says that they do."""
    if problem.network is None or problem.layers is not None:
        return _numbered_chain(layers)
    by_name = {layer.name: layer for layer in layers}
    return [by_name[name] for name in network_layers(problem.network) if name in by_name]


def _numbered_chain(layers: Sequence[LayerReport]) -> list[LayerReport]:
    """Return layers that are numbered upwards and have a matrix each, the one fitting the next.

    Square matrices alone fit in any order, and so say nothing.
    """
    matrices = {
        layer.name: [p.shape for p in layer.parameters if _is_matrix(p)] for layer in layers
    }
    chain = [layer for layer in layers if matrices[layer.name]]
    names = [_NUMBERED.fullmatch(layer.name) for layer in chain]
    numbers = [(name[1], int(name[2])) for name in names if name]
    upwards = all(one[0] == two[0] and one[1] < two[1] for one, two in pairwise(numbers))
    shapes = [shape for layer in chain for shape in matrices[layer.name] if len(shape) == 2]
    if len(numbers) < len(chain) or len(shapes) != len(chain) or not upwards:
        return []
    rows = all(lower[1] == upper[0] for lower, upper in pairwise(shapes))
    columns = all(lower[0] == upper[1] for lower, upper in pairwise(shapes))
    return chain if rows != columns else []


def _is_matrix(parameter: ParameterReport) -> bool:
    return len(parameter.shape) >= 2


def _of_kind(chain: Sequence[LayerReport], matrices: bool) -> list[list[ParameterReport]]:
    return [[part for part in layer.parameters if _is_matrix(part) is matrices] for layer in chain]


def _sizes(groups: Sequence[Sequence[ParameterReport]]) -> dict[int, float]:
    """Return the sizes by place in the chain, without those that are zero or unknown."""
    sizes = {place: combined_size(group) for place, group in enumerate(groups) if group}
    return {place: size for place, size in sizes.items() if size and math.isfinite(size)}


def _grows(sizes: Sequence[float]) -> bool:
    """Return whether the last is far larger than the first, and not by one step alone."""
    steps = [math.log(later) - math.log(earlier) for earlier, later in pairwise(sizes)]
    without_largest = sum(steps) - max(steps)
    return sum(steps) >= math.log(LARGE_FOLD) and without_largest >= math.log(
        LEAST_WITHOUT_LARGEST_STEP
    )


def _note(chain: Sequence[LayerReport], sizes: dict[int, float], words: str) -> str:
    places = list(sizes)
    first, last = places[0], places[-1]
    count = min(len(places), MOST_NAMED)
    named = [places[round(k * (len(places) - 1) / (count - 1))] for k in range(count)]
    listed = ", ".join(f"{_title(chain[place])} {sizes[place]:.2g}" for place in named)
    small, large = sorted((sizes[first], sizes[last]))
    fold = f"{large / small:.1e}".replace("e+0", "e").replace("e+", "e")
    way = f"from {_title(chain[last])} down to {_title(chain[first])}"
    return f"{words} {fold}-fold {way} (rms of entries: {listed})"


def _title(layer: LayerReport) -> str:
    # "1", from W1 and b1, alone would say little.
    return f"layer {layer.name}" if layer.name.isdecimal() else layer.name
