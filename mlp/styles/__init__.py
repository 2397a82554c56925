"""Backpropagation as others write it: the same derivation in other conventions and shapes.

`lists` has plain functions over a list of six arrays, one sample per column. `holding` has an
object of any depth that holds its own arrays, one sample per row. `stacking` has layers as
objects, trained on one column at a time. Each ends with a function that returns a problem:

    gradcheck mlp.styles:six_arrays
    gradcheck mlp.styles:any_depth
    gradcheck mlp.styles:one_sample
"""

from mlp.styles.holding import any_depth
from mlp.styles.lists import six_arrays
from mlp.styles.stacking import one_sample
