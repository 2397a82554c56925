"""What a gallery of faults is made of: a deliberate bug, its correct twin, and what it deserves.

Three decorators make a `Fault` from the function that has the bug: it spoils a correct gradient,
rebuilds a network around the bug, or is the wrong gradient itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from mlp.network import Network
from mlp.problem import Problem

Twin = Callable[[int], Problem]
Decorator = Callable[[Callable[..., Any]], "Fault"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Fault:
    """A deliberate gradient bug: called with a seed, it makes a problem that has it.

    The causes are the slugs that a diagnosis may name: those that are true, and no others.

    Parameters
    ----------
    bug: the function that has it. The fault takes its name, its docstring and its module from it.
    twin: makes the same problem without the fault.
    wrong: names of the parameters whose gradient is wrong, such as "layer2.weight".
    layer: the layer that has the bug; None where no single one has.
    exposed: causes accepted where the layers of the network are shown.
    black_box: causes accepted where they are not.
    """

    bug: Callable[..., Any]
    twin: Twin
    wrong: frozenset[str]
    layer: str | None
    exposed: frozenset[str]
    black_box: frozenset[str]

    def __post_init__(self) -> None:
        """Go by the name of the function that has the bug, in its place."""
        for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
            object.__setattr__(self, attribute, getattr(self.bug, attribute))

    @property
    def name(self) -> str:
        """The name of the fault."""
        return self.bug.__name__

    def __call__(self, seed: int = 0) -> Problem:
        """Return the problem with the fault; the seed draws its parameters and data."""
        return replace(self.plant(self.twin(seed)), name=self.name)

    def plant(self, problem: Problem) -> Problem:
        """Return the correct problem with the fault planted in it."""
        raise NotImplementedError

    def __reduce__(self) -> str:
        """Be pickled by name, like a function: problems that hold a fault are pickled too."""
        return self.name


class SpoiltGradientFault(Fault):
    """A fault whose bug(gradient) spoils the correct gradient in place."""

    def plant(self, problem: Problem) -> Problem:
        """Return the problem with a gradient that is spoilt after it was computed."""
        return replace(problem, gradient=SpoiltGradient(self, problem.gradient))


class RebuiltNetworkFault(Fault):
    """A fault whose bug(network) returns the network with a bug inside."""

    def plant(self, problem: Problem) -> Problem:
        """Return the problem of the rebuilt network, whose layers are there to be looked at."""
        if problem.network is None:
            raise ValueError(f"twin of fault {self.name!r} must have a network, got None")
        network: Network = self.bug(problem.network)
        return replace(problem, loss=network.loss_value, gradient=network.backward, network=network)


class ReplacedGradientFault(Fault):
    """A fault whose bug(parameters, *args) is the wrong gradient."""

    def plant(self, problem: Problem) -> Problem:
        """Return the problem with the wrong gradient."""
        return replace(problem, gradient=ReplacedGradient(self))


@dataclass(frozen=True, eq=False)
class SpoiltGradient:
    """A correct gradient with a fault applied to it."""

    fault: Fault
    correct: Callable[..., Any]

    def __call__(self, parameters: Any, *args: Any) -> Any:
        """Return the wrong gradient."""
        gradient = self.correct(parameters, *args)
        self.fault.bug(gradient)
        return gradient


@dataclass(frozen=True, eq=False)
class ReplacedGradient:
    """The wrong gradient that a fault is."""

    fault: Fault

    def __call__(self, parameters: Any, *args: Any) -> Any:
        """Return the wrong gradient."""
        return self.fault.bug(parameters, *args)


def spoils_gradient(
    twin: Twin,
    *,
    wrong: Iterable[str],
    causes: Iterable[str],
    black_box: Iterable[str] | None = None,
    layer: str | None = None,
) -> Decorator:
    """Turn a function bug(gradient), which spoils a gradient in place, into a fault.

    Parameters
    ----------
    twin, wrong: as in `Fault`.
    causes: accepted where layers are shown.
    black_box: accepted where they are not; the same causes by default.
    layer: as in `Fault`; by default the one that has all the wrong parameters.
    """
    return _decorator(
        SpoiltGradientFault, twin, wrong=wrong, causes=causes, black_box=black_box, layer=layer
    )


def rebuilds_network(
    twin: Twin,
    *,
    wrong: Iterable[str],
    causes: Iterable[str],
    black_box: Iterable[str] | None = None,
    layer: str | None = None,
) -> Decorator:
    """Turn a function bug(network), which returns a network with a bug, into a fault.

    The parameters are those of `spoils_gradient`.
    """
    return _decorator(
        RebuiltNetworkFault, twin, wrong=wrong, causes=causes, black_box=black_box, layer=layer
    )


def replaces_gradient(
    twin: Twin,
    *,
    wrong: Iterable[str],
    causes: Iterable[str],
    black_box: Iterable[str] | None = None,
    layer: str | None = None,
) -> Decorator:
    """Turn a wrong gradient bug(parameters, *args) into a fault.

    The parameters are those of `spoils_gradient`.
    """
    return _decorator(
        ReplacedGradientFault, twin, wrong=wrong, causes=causes, black_box=black_box, layer=layer
    )


def _decorator(
    kind: type[Fault],
    twin: Twin,
    *,
    wrong: Iterable[str],
    causes: Iterable[str],
    black_box: Iterable[str] | None,
    layer: str | None,
) -> Decorator:
    names, exposed = frozenset(wrong), frozenset(causes)
    layers = {name.rpartition(".")[0] for name in names}
    home = layer or (layers.pop() if len(layers) == 1 else None) or None

    def decorate(bug: Callable[..., Any]) -> Fault:
        return kind(
            bug=bug,
            twin=twin,
            wrong=names,
            layer=home,
            exposed=exposed,
            black_box=exposed if black_box is None else frozenset(black_box),
        )

    return decorate


def faults_of(*modules: ModuleType) -> dict[str, Fault]:
    """Return the faults that modules define, by name, in their order there."""
    return {
        fault.name: fault
        for module in modules
        for fault in vars(module).values()
        if isinstance(fault, Fault) and fault.__module__ == module.__name__
    }
