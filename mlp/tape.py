"""A small tape: derivatives by recording what was computed, then playing it back.

Each operation on variables puts its result y on the tape, with a way back to every parent x that
it was made of: the vector-Jacobian product

    u -> u dy/dx        from u = dL/dy, what y contributes to dL/dx

Played back from its end, the tape comes to a variable after all that was made of it. By then
dL/dx is complete, the sum of the contributions; that is the chain rule. What is on no tape, such as
data, is a constant.

Nothing here is shared with the hand-written backward passes: it is a second opinion on them.

The functions below take plain arrays and numbers too, and return plain ones. So one function is
the loss, and `gradient` of it its gradient: `gradcheck.check_gradients(loss, gradient(loss),
parameters)` compares the two.

References
----------
Griewank & Walther (2008), Evaluating Derivatives, section 3.2.
Baydin, Pearlmutter, Radul & Siskind (2018), Automatic differentiation in machine learning: a
survey, section 3.2.

Examples
--------
>>> def loss(point):
...     return 3 * point["x"] ** 2 + 2 * point["x"] * exp(point["y"])
>>> point = {"x": 2.0, "y": 0.0}
>>> float(loss(point))
16.0
>>> {name: float(slope) for name, slope in gradient(loss)(point).items()}
{'x': 14.0, 'y': 4.0}
"""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from mlp.arrays import Array

# From dL/dy of a result to its contribution to dL/dx of one parent.
Pullback = Callable[[Array], Array]


class Tape:
    """Variables in the order in which they were made."""

    def __init__(self) -> None:
        self.variables: list[Variable] = []

    def variable(self, value: Any) -> "Variable":
        """Return a variable that is made of no other, to differentiate by."""
        array = np.asarray(value)
        if not np.issubdtype(array.dtype, np.inexact):
            array = array.astype(float)
        return Variable(self, array, ())

    def gradients(self, loss: "Variable") -> dict["Variable", Array]:
        """Return dL/dx for every variable x on the tape."""
        if loss.tape is not self or loss.value.ndim:
            raise ValueError(f"loss must be a scalar on this tape, got {loss!r}")
        slopes = {variable: np.zeros_like(variable.value) for variable in self.variables}
        slopes[loss] += 1  # dL/dL
        for result in reversed(self.variables):
            for parent, pullback in result.parents:
                contribution = pullback(slopes[result])
                slopes[parent] += _summed_to(parent.value.shape, contribution)
        return slopes


class Variable:
    """An array on a tape, and what it was made of; used like an array.

    Parameters
    ----------
    tape: where it is recorded.
    value: the array; any shape.
    parents: the variables that it was made of, each with the way back to it.
    """

    def __init__(
        self, tape: Tape, value: Array, parents: tuple[tuple["Variable", Pullback], ...]
    ) -> None:
        self.tape, self.value, self.parents = tape, value, parents
        tape.variables.append(self)

    def __repr__(self) -> str:
        return f"a variable of shape {self.shape}"

    def __array_ufunc__(
        self, function: np.ufunc, method: str, *operands: Any, **options: Any
    ) -> "Variable":
        """Take `array * variable` from numpy; what else it does is not recorded."""
        known = function in REFLECTED and method == "__call__" and not options
        if not known or not isinstance(operands[1], Variable):
            raise _unrecorded(function)
        array, variable = operands
        return REFLECTED[function](variable, array)

    def __array_function__(self, function: Callable[..., Any], *_: Any) -> NoReturn:
        raise _unrecorded(function)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.value.shape

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator["Variable"]:
        return (self[position] for position in range(len(self)))

    def __getitem__(self, index: Any) -> "Variable":
        """Return the entries x[i] at an index; u_i goes to x_i, as often as it was taken."""
        x = self.value

        def back(u: Array) -> Array:
            slopes = np.zeros_like(x)
            np.add.at(slopes, index, u)
            return slopes

        return _made(x[index], (self, back))

    def __add__(self, other: Any) -> "Variable":
        return _made(_value(self) + _value(other), (self, lambda u: u), (other, lambda u: u))

    def __mul__(self, other: Any) -> "Variable":
        x, y = _value(self), _value(other)
        return _made(x * y, (self, lambda u: u * y), (other, lambda u: u * x))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Variable":
        return _made(-self.value, (self, lambda u: -u))

    def __sub__(self, other: Any) -> "Variable":
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> "Variable":
        return (-self).__add__(other)

    def __truediv__(self, other: Any) -> "Variable":
        return _ratio(self, other)

    def __rtruediv__(self, other: Any) -> "Variable":
        return _ratio(other, self)

    def __matmul__(self, other: Any) -> "Variable":
        return _product(self, other)

    def __rmatmul__(self, other: Any) -> "Variable":
        return _product(other, self)

    def __pow__(self, power: float) -> "Variable":
        """Return x**n for a number n; d(x**n)/dx = n x**(n - 1)."""
        if not isinstance(power, int | float | np.number):
            raise TypeError(f"power must be a number, got {power!r}")
        x = self.value
        # The derivative of x**0 is 0 at x = 0 too, where 0 x**-1 is not a number.
        return _made(x**power, (self, lambda u: u * (power * x ** (power - 1) if power else 0)))

    @property
    def T(self) -> "Variable":  # noqa: N802 (as arrays call it)
        """The transpose."""
        return _made(self.value.T, (self, lambda u: u.T))

    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> "Variable":
        """Return the sum over an axis, or over all: each entry counts once, so u goes to each."""
        x = self.value
        kept = np.sum(x, axis=axis, keepdims=True).shape
        total = np.sum(x, axis=axis, keepdims=keepdims)
        return _made(total, (self, lambda u: np.broadcast_to(u.reshape(kept), x.shape)))

    def mean(self, axis: int | None = None, *, keepdims: bool = False) -> "Variable":
        """Return the mean over an axis, or over all."""
        total = self.sum(axis, keepdims=keepdims)
        count = self.value.size // total.value.size
        # A number of the same type: an old numpy would widen float32.
        return _ratio(total, total.value.dtype.type(count))


# What numpy is asked for where an array is left of an operator, and who answers in its place.
REFLECTED = {
    np.add: Variable.__radd__,
    np.subtract: Variable.__rsub__,
    np.multiply: Variable.__rmul__,
    np.true_divide: Variable.__rtruediv__,
    np.matmul: Variable.__rmatmul__,
}


def exp(x: Any) -> Any:
    """Return e**x, its own derivative."""
    y = np.exp(_value(x))
    return _recorded(y, (x, lambda u: u * y))


def log(x: Any) -> Any:
    """Return the natural logarithm; its derivative is 1 / x."""
    y = np.log(_value(x))
    return _recorded(y, (x, lambda u: u / x.value))


def sigmoid(x: Any) -> Any:
    """Return y = 1 / (1 + exp(-x)); dy/dx = y (1 - y)."""
    with np.errstate(over="ignore"):  # far to the left 1 / (1 + inf) is the limit
        y = 1 / (1 + np.exp(-_value(x)))
    return _recorded(y, (x, lambda u: u * y * (1 - y)))


def tanh(x: Any) -> Any:
    """Return y = tanh(x); dy/dx = 1 - y**2."""
    y = np.tanh(_value(x))
    return _recorded(y, (x, lambda u: u * (1 - y**2)))


def maximum(one: Any, other: Any) -> Any:
    """Return the larger of two, entry by entry; u goes to that one, and to the second in a tie."""
    first = np.greater(_value(one), _value(other))
    y = np.maximum(_value(one), _value(other))
    return _recorded(y, (one, lambda u: u * first), (other, lambda u: u * ~first))


def value_and_gradient(loss: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """Return the function of (parameters, *args) whose results are the loss and its gradient.

    Parameters
    ----------
    loss: loss(parameters, *args), a scalar made of its parameters with the operations above.
        They are arrays in any nesting of dicts, lists and tuples, and so is the gradient.
    """

    def both(parameters: Any, *args: Any) -> tuple[Any, Any]:
        tape = Tape()
        variables = _mapped(tape.variable, parameters)
        value = loss(variables, *args)
        if not isinstance(value, Variable):
            raise TypeError(f"loss must be made of its parameters, got {value!r}")
        slopes = tape.gradients(value)
        return value.value[()], _mapped(slopes.__getitem__, variables)

    return both


def gradient(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return the gradient of a loss, as a function of (parameters, *args)."""
    both = value_and_gradient(loss)
    return lambda parameters, *args: both(parameters, *args)[1]


def _ratio(x: Any, y: Any) -> Variable:
    """Return z = x / y; dz/dx = 1 / y and dz/dy = -x / y**2 = -z / y."""
    top, bottom = _value(x), _value(y)
    z = top / bottom
    return _made(z, (x, lambda u: u / bottom), (y, lambda u: -u * z / bottom))


def _product(x: Any, y: Any) -> Variable:
    """Return the matrix product Z = X Y; from Z_ij = sum_k X_ik Y_kj, dL/dX = U Y^T and X^T U."""
    left, right = np.asarray(_value(x)), np.asarray(_value(y))
    if left.ndim != 2 or right.ndim != 2:
        raise ValueError(f"operands of @ must be matrices, got {left.shape} and {right.shape}")
    return _made(left @ right, (x, lambda u: u @ right.T), (y, lambda u: left.T @ u))


def _value(operand: Any) -> Any:
    return operand.value if isinstance(operand, Variable) else operand


def _recorded(value: Any, *ways: tuple[Any, Pullback]) -> Any:
    """Return a new variable; the plain value where no operand is one."""
    plain = not any(isinstance(operand, Variable) for operand, _ in ways)
    return value if plain else _made(value, *ways)


def _unrecorded(function: Callable[..., Any]) -> TypeError:
    """Return why a function of numpy is refused: the tape would not know of its result."""
    return TypeError(
        f"numpy.{function.__name__} takes no Variable; use tape.exp, tape.log, tape.sigmoid, "
        "tape.tanh, tape.maximum, or the variable's own sum, mean and T"
    )


def _made(value: Any, *ways: tuple[Any, Pullback]) -> Variable:
    """Return a new variable; operands that are constants have no part in the way back."""
    parents = tuple((operand, way) for operand, way in ways if isinstance(operand, Variable))
    tape = parents[0][0].tape
    if any(parent.tape is not tape for parent, _ in parents):
        raise ValueError("operands must be on the same tape, got variables of two")
    return Variable(tape, np.asarray(value), parents)


def _summed_to(shape: tuple[int, ...], slopes: Array) -> Array:
    """Return the slopes, summed over what broadcasting has repeated: each copy contributes."""
    added = slopes.ndim - len(shape)
    stretched = [
        added + axis
        for axis, size in enumerate(shape)
        if size == 1 and slopes.shape[added + axis] != 1
    ]
    total: Array = slopes.sum(axis=(*range(added), *stretched), keepdims=True)
    return total.reshape(shape)


def _mapped(function: Callable[[Any], Any], nested: Any) -> Any:
    """Return the nesting with the function applied to what it holds."""
    if isinstance(nested, dict):
        return {key: _mapped(function, inner) for key, inner in nested.items()}
    if isinstance(nested, list | tuple):
        return type(nested)([_mapped(function, inner) for inner in nested])
    return function(nested)
