"""A multilayer perceptron whose backpropagation is written to be read, and then checked.

Read `mlp.layers` first: the forward and the backward pass of one layer, side by side, with the
derivation between them. `mlp.network` chains layers, `mlp.problems` holds networks with data,
ready to be checked, and `mlp.faults` the same with a deliberate bug in the gradient.
`mlp.functions` has functions beyond the network, right and wrong. `mlp.styles` has networks as
others write them: over plain lists, in columns, as objects that hold their own arrays.

References
----------
Goodfellow, Bengio & Courville (2016), Deep Learning, section 6.5.
Nielsen (2015), Neural Networks and Deep Learning, chapter 2.
Bishop (2006), Pattern Recognition and Machine Learning, section 5.3.

Examples
--------
>>> from mlp import problems
>>> problem = problems.two_two_two()
>>> round(float(problem.loss(problem.parameters, *problem.args)), 8)
0.41724411
>>> gradient = problem.gradient(problem.parameters, *problem.args)
>>> [round(float(slope), 6) for slope in gradient["output"]["weight"][0]]
[-0.105187, 0.026549]
"""
