"""Numerical gradients of networks that expose their layers, from their forward passes alone."""

from gradcheck.layer_numbers.gradient import LayeredGradient, layered_gradient

__all__ = ["LayeredGradient", "layered_gradient"]
