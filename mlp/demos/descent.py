"""Training that is watched: each step is held against the one before and against its promise.

To first order a step d from the parameters theta changes the loss by g . d, and to second order by
g . d + 1/2 d . H d. A gradient that is half of what it should be promises half of what comes; a
step that is too long for the curvature H gets less than it was promised, and climbs where it is
longer than twice the distance to the bottom.
"""

from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome, Settings
from mlp.faults.losses import half_kept
from mlp.faults.twins import correct
from mlp.problem import Problem
from mlp.training import Training, train

STEPS = 12
# Short enough for the curvature of this loss, and far too long.
MODERATE, EXCESSIVE = 0.2, 2.0


def watched(
    problem: Problem, learning_rate: float, settings: Settings
) -> tuple[Training, list[str]]:
    """Return a training on the whole batch, and what its monitor says."""
    monitor = settings.monitor()
    training = train(
        problem.network,
        problem.parameters,
        *problem.args,
        learning_rate=learning_rate,
        epochs=STEPS,
        observe=monitor,
    )
    monitor.end(training.parameters)
    return training, str(monitor).splitlines()


def run(settings: Settings) -> Outcome:
    """Watch a training that goes well, one with steps too long, and one with a wrong gradient."""
    right, halved = correct(settings.seed), half_kept(settings.seed)
    cases = {
        f"learning rate {MODERATE:g}": (right, MODERATE),
        f"learning rate {EXCESSIVE:g}": (right, EXCESSIVE),
        f"learning rate {MODERATE:g}, a gradient half as large as it should be": (halved, MODERATE),
    }
    lines: list[str] = []
    curves = []
    for title, (problem, learning_rate) in cases.items():
        training, told = watched(problem, learning_rate, settings)
        lines += [title, "", *told, ""]
        curves.append(Curve(title, training.losses))
    return Outcome(tuple(lines[:-1]), tuple(curves))


DEMO = Demo("descent", "does the loss fall as the gradient promised?", run)
