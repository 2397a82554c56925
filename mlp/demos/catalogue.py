"""What a demo is: a name, what it shows, and a function that runs it and returns what came out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlp.arrays import NetworkParameters, Scalar
from mlp.curves import STEP, Curve
from mlp.training import Training
from mlp.verification import Verifier

# What a line of text may be wide.
COLUMNS = 80


class Monitor(Protocol):
    """An observer of training that is told where the last step led, and says what it saw."""

    def __call__(
        self,
        loss: Callable[[NetworkParameters], Scalar],
        parameters: NetworkParameters,
        gradient: NetworkParameters,
    ) -> None:
        """Look at a gradient before its step."""

    def end(self, parameters: NetworkParameters) -> None:
        """Look at the parameters after the last step."""


@dataclass(frozen=True)
class Settings:
    """How a demo is to run.

    Parameters
    ----------
    seed: of everything that is drawn at random.
    verifier: makes the verifier that the demo asks, see `mlp.verification`.
    monitor: makes an observer of training, see `mlp.training`.
    verify_every: verifies the first of so many steps of a training; None for no step.
    observing: whether trainings are observed.
    """

    verifier: Callable[[], Verifier]
    monitor: Callable[[], Monitor]
    seed: int = 0
    verify_every: int | None = None
    observing: bool = False

    def training_options(self) -> dict[str, Any]:
        """Return the options of `mlp.training.train` that these settings come to."""
        options: dict[str, Any] = {}
        if self.verify_every is not None:
            options |= {"verify": self.verifier(), "verify_every": self.verify_every}
        if self.observing:
            options["observe"] = self.monitor()
        return options


@dataclass(frozen=True)
class Outcome:
    """What a demo shows.

    Parameters
    ----------
    lines: of text, at most COLUMNS wide.
    curves: drawn below the text, and into the file that -o names.
    figures: the numbers that matter, by name.
    across: what the horizontal axis of the curves counts.
    """

    lines: tuple[str, ...]
    curves: tuple[Curve, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    across: str = STEP


@dataclass(frozen=True)
class Demo:
    """Something to see.

    Parameters
    ----------
    name: what `python -m mlp NAME` calls it.
    title: what it shows, in one line of at most 60 characters.
    run: runs it.
    trains: whether it trains a network with `mlp.training`, which can be verified and observed.
    """

    name: str
    title: str
    run: Callable[[Settings], Outcome]
    trains: bool = False


def training_lines(training: Training, options: dict[str, Any]) -> tuple[str, ...]:
    """Return what verifying and observing a training showed; nothing where neither was asked."""
    lines = []
    if training.verified:
        lines.append(
            f"verified {training.verified:,} of {len(training.losses):,} steps: "
            f"{training.verifying_seconds:.2f} s of {training.seconds:.2f} s"
        )
    if "observe" in options:
        options["observe"].end(training.parameters)
        lines += ["", *str(options["observe"]).splitlines()]
    return tuple(lines)


def titled(title: str, lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines below a title, to tell them from those of another training."""
    return ("", f"{title}:", *lines) if lines else ()
