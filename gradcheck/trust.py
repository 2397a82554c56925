"""Which of the windows to believe: none that smaller steps contradict ("trust from below").

Steps far above the length scale of a function can agree with each other and still be nonsense.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.extrapolation import Window

# Part of its error bar beyond which a window of smaller steps confirms what a larger one saw.
CONFIRMATION = 1 / 3


def trusted(windows: Sequence[Window]) -> tuple[Window, bool]:
    """Return the sharpest window that meets all of smaller steps, and whether any did not."""
    best, clash = None, False
    for window in windows:
        smaller = (other for other in windows if other.top > window.top)
        if all(window.meets(other) for other in smaller):
            if best is None or window.error < best.error:
                best = window
        else:
            clash = True
    assert best is not None  # the window of smallest steps has none below it to meet
    return best, clash


def confirmed(windows: Sequence[Window], best: Window, scale: float) -> bool:
    """Return whether smaller steps see the discrepancy of the best window too.

    One of them within the scale has to see about the same, well beyond its own noise, and none
    may point elsewhere: their error bars are wider, but those are several times what noise does.
    An estimate hangs on its smallest step, so a window that ends where the best one does is no
    second witness.
    """
    witnesses = [window for window in windows if window.bottom > best.bottom]
    return all(
        abs(window.estimate - best.estimate) <= CONFIRMATION * window.error + best.error
        for window in witnesses
    ) and any(
        window.step <= scale
        and abs(window.estimate) > CONFIRMATION * window.error
        and 0.5 < window.estimate / best.estimate < 2.0
        for window in witnesses
    )


def smaller_steps_agree(windows: Sequence[Window], best: Window) -> bool:
    """Return whether a clash is with larger steps only: aliasing, or kinks further out.

    The windows of smallest steps have to agree with each other up to the step of the best one,
    over at least three different steps.
    """
    agreeing: list[Window] = []
    for top in sorted({window.top for window in windows}, reverse=True):
        these = [window for window in windows if window.top == top]
        if not all(one.meets(other) for one in these for other in (*agreeing, *these)):
            break
        agreeing += these
    tops = {window.top for window in agreeing} | {best.top}
    return len(tops) >= 3 and best.top >= min(window.top for window in agreeing) - 1
