"""What a report notes about the check itself: what is left out, what complex gradients mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gradcheck.execution import Evaluator


def left_out_notes(evaluator: Evaluator, fixed: Mapping[str, int]) -> Iterator[str]:
    """Yield what is not checked, and why.

    Parameters
    ----------
    fixed: how many entries bounds fix, by name
    """
    sizes = {name: array.size for name, array in evaluator.original.items()}
    if evaluator.skipped:
        skipped = ", ".join(evaluator.skipped)
        yield f"not checked, as only floats have a derivative: {skipped}"
    if empty := [name for name, size in sizes.items() if not size]:
        yield f"not checked, as they are empty: {', '.join(empty)}"
    if held := [_held(name, count, sizes[name]) for name, count in fixed.items() if count]:
        yield f"not checked, as bounds fix them: {', '.join(held)}"


def complex_notes(
    evaluator: Evaluator, selected: Sequence[str], real: Sequence[str]
) -> Iterator[str]:
    """Yield what the gradients of complex parameters mean.

    Parameters
    ----------
    selected: names of the parameters that are checked
    real: those of complex parameters whose gradients are real
    """
    names = [name for name in selected if name in evaluator.complex_names]
    if names:
        listed, verb = ", ".join(names), "is" if len(names) == 1 else "are"
        yield (
            f"{listed} {verb} checked as pairs (real, imaginary), last axis; a gradient means "
            "dL/dRe + i dL/dIm, jax's convention is its conjugate"
        )
    if real:
        yield f"real gradients of complex parameters, imaginary part 0: {', '.join(real)}"


def _held(name: str, count: int, size: int) -> str:
    return f"{count} of {size} entries of {name}" if count < size else name
