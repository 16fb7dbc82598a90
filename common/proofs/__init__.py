"""Theorems about these models, proved by a machine: nothing is trusted but the arithmetic.

intervals  intervals of arrays, rounded outward
boxes      branch and bound over boxes, none left out
definite   which intervals of matrices are positive definite
statement  a statement, its proof printed; the arithmetic checked
polygon    regular polygons with one active feature: loss, bounds in boxes, second derivatives
pentagon   five features: the pentagon is the optimum
hexagon    six features: the hexagon is the optimum
rare       the full loss of five features at densities below 1e-6
one_axis   what one dimension can store: a conjecture refuted by rational numbers
smallest   two features in one dimension, with a penalty: minima enclosed, phases proved

The mathematics between the machine's steps: PROOF.md (pentagon, hexagon, rare), SMALLEST.md.
"""
