"""Theorems about these models, proved by a machine: nothing is trusted but the arithmetic.

intervals   intervals of arrays, rounded outward
boxes       branch and bound over boxes, none left out
definite    which intervals of matrices are positive definite
statement   a statement, its proof printed; the arithmetic checked
polygon     regular polygons with one active feature: loss, bounds in boxes, second derivatives
pentagon    five features: the pentagon is the optimum
hexagon     six features: the hexagon is the optimum
rare        the full loss of five features at densities below 0.001
nearby      near the pentagon: what curves upward, and what downward
pairs       two active features: slopes and second derivatives in boxes
one_axis    what one dimension can store: a conjecture refuted by rational numbers
smallest    two features in one dimension, with a penalty: minima enclosed, phases proved
candidates  its models, found by descents, and their loss from above
weights     its loss over boxes of weights, from below, until they cover all
outputs     the loss of one of its outputs over boxes, with the best bias
moments     that loss, and the moments it consists of, enclosed
rounding    numbers rounded outward, compiled

The mathematics between the machine's steps: PROOF.md (pentagon, hexagon, rare and what it uses),
SMALLEST.md.
"""
