r"""Two features in one dimension with a penalty on interference: global minima with a proof.

W = (w_1, w_2), importances 1 and r, penalty lambda >= 0, density p:

    L(w_1, w_2) = G(w_1^2, w_1 w_2) + r G(w_2^2, w_1 w_2) + 2 lambda w_1^2 w_2^2,
    G(a, g) = min over t of F(a, g, t),   F = E (x - relu(z))^2,   z = a x + g y + t.

`prove` covers the plane of (w_1, w_2) with boxes and bounds L from below on every box, for all r
and lambda at once. What that rests on:

1. With q = E [(x, y, 1) relu(z)] and theta = (a, g, t) the loss is F = p/3 + u - 2 v of a row, with
   u = E relu(z)^2 = theta . q and v = E x relu(z), its first entry. Both are convex in theta, since
   z is linear in it, and grad u = 2 q. So u lies above its tangent at any point c, and v lies below
   the interpolation of its values at the corners of a box. On a box of theta, for any slopes s,
       F - s . (a, g) >= min over corners k of
                         p/3 + 2 q(c) . k - q(c) . c - 2 v(k) - s . (a_k, g_k).
2. The bias is free. Up to T = -(a + max(g, 0)) the output is 0 and F = p/3, as at T. From
   p (1 - a - g) / 2 on F grows, since E relu(z) >= E z and so
       dF/dt = 2 E relu(z) - 2 E x 1[z > 0] >= 2 (t + p (a + g) / 2) - p >= 0.
   What lies between is cut into pieces, each bounded as in 1.
3. So a box has numbers with G(w_1^2, g) >= c_1 + alpha_1 w_1^2 + gamma_1 g for all its models,
   g = w_1 w_2, and likewise for the second row, and g^2 >= 2 g_0 g - g_0^2. What is left is the
   least value of the quadratic form
       alpha_1 w_1^2 + r alpha_2 w_2^2 + (gamma_1 + r gamma_2 + 4 lambda g_0) w_1 w_2.
   The slopes are those at the centre: near a minimum of L they cancel between the rows, and the
   error of the bound is of second order in the box.
4. Interference never helps: G(a, g) >= H(a) = G(a, 0), since given y, active or not, the loss of
   the row is that of (a, 0) with another bias. The best bias for (a, 0) gives
       H(a) = s2 (1 - a)^2 for a <= 1,   p (a - 1)^2 / (3 (a + 1)^2) for a >= 1,   s2 = p/3 - p^2/4.
   H grows from a = 1 on, to more than s2. So L >= min(1, r) H(W^2) where a weight is W or more,
   which excludes large weights. H alone also excludes boxes far from the minimum.
5. (w_1, w_2) and (-w_1, -w_2) are the same model: w_1 >= 0 is enough.

Rounding: every number that the proof uses is an interval (low, high), see `rounding`. What is only
a choice (where the bias is cut, slopes, centres, g_0) is computed in plain floats. `moments` holds
F, `outputs` and `weights` the bounds of G and L, `candidates` models to compare them with.
"""

import argparse
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

import numpy as np

from common.proofs.candidates import find_values
from common.proofs.rounding import down
from common.proofs.weights import DEDICATED, DROPPED, FINEST, OTHER, PAIR, PHASES, Cells, cover

DENSITIES = 0.01 ** (np.arange(40) / 39)
RELATIVE_IMPORTANCES = 10.0 ** np.linspace(-1, 1, 40)
PENALTIES = np.array([0.0, 0.001, 0.003, 0.01, 0.03, 0.1])
TOLERANCE = 1e-5  # relative: the proven minimum is no further below the value found
LETTERS = {DROPPED: "-", DEDICATED: "D", PAIR: "P", OTHER: "o"}  # of phases; "?": not proven
UNITS = (
    "# units: loss of one input, importances 1 and r; the global minimum of L + penalty R is not "
    "below the number; every global minimum is a - feature 2 dropped, D feature 1 dropped, P pair, "
    "o other, ? not proven"
)


@dataclass
class Proof:
    """What is proved at one density, for penalties [P] by relative importances [R]: arrays [P, R].

    W [P, R, 2], value : a model and its loss, rounded up; phase : its phase (a code of PHASES)
    ratio : the global minimum is at least this share of the value
    proven : every global minimum is of that phase
    boxes : how many boxes that took
    """

    density: float
    relative_importance: np.ndarray
    penalty: np.ndarray
    W: np.ndarray
    value: np.ndarray
    phase: np.ndarray
    ratio: np.ndarray
    proven: np.ndarray
    boxes: int


def prove(
    density,
    relative_importance=RELATIVE_IMPORTANCES,
    penalty=PENALTIES,
    *,
    tolerance=TOLERANCE,
    finest=FINEST,
):
    """The Proof of one density. Raises ValueError for numbers that it does not hold for."""
    relative_importance, penalty = (np.asarray(v, float) for v in (relative_importance, penalty))
    if not 1e-4 <= density <= 1:
        raise ValueError(f"density must lie between 0.0001 and 1, got {density!r}")
    if not ((relative_importance >= 1e-3) & (relative_importance <= 1e3)).all():
        raise ValueError("relative importances must lie between 0.001 and 1000")
    if not ((penalty >= 0) & (penalty <= 1e3)).all():
        raise ValueError("penalties must lie between 0 and 1000")
    penalties, r = (v.ravel() for v in np.meshgrid(penalty, relative_importance, indexing="ij"))
    W, value, phase = find_values(float(density), r, penalties)
    state, boxes = cover(float(density), Cells(r, penalties, value, phase), tolerance, finest)
    if (state.ratio > 1).any():  # the value is the loss of a model
        raise ArithmeticError(f"a lower bound above an upper one at density {density!r}")
    state.proven[~np.isin(phase, list(PHASES))] = False  # between two phases
    shape = len(penalty), len(relative_importance)
    arrays = (v.reshape(*shape, *v.shape[1:]) for v in (W, value, phase, state.ratio, state.proven))
    return Proof(float(density), relative_importance, penalty, *arrays, boxes)


def report(proof):
    """Lines about a Proof."""
    r, share = proof.relative_importance, proof.proven.mean()
    yield (
        f"density {proof.density:g}: {proof.ratio.size} cells, relative importance {r.min():g} to "
        f"{r.max():g}: global minimum >= {proof.ratio.min():.6f} of the value found, "
        f"phase proven in {100 * share:.1f} % ({proof.boxes} boxes)"
    )
    for k, penalty in enumerate(proof.penalty):
        counts = [
            f"{name} {(proof.proven[k] & (proof.phase[k] == code)).sum()}"
            for code, name in PHASES.items()
        ]
        unproven = (~proof.proven[k]).sum()
        yield f"    penalty {penalty:g}: {', '.join(counts)}, not proven {unproven}"


def rows(proof):
    """Rows of the table of what is proved, one a penalty: texts.

    density, penalty; a letter of LETTERS for each relative importance, the phase that every global
    minimum has there; and for each a number that the global minimum is not below.
    """
    for penalty, phase, proven, value, ratio in zip(
        proof.penalty, proof.phase, proof.proven, proof.value, proof.ratio, strict=True
    ):
        letters = (LETTERS[code] if sure else "?" for code, sure in zip(phase, proven, strict=True))
        least = (rounded_down(down(v * share)) for v, share in zip(value, ratio, strict=True))
        yield ",".join([repr(proof.density), repr(float(penalty)), "".join(letters), *least])


def rounded_down(number):
    """The text of a decimal number of 7 digits that is not above a number > 0."""
    exact = Decimal(float(number))
    return str(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 6), ROUND_FLOOR))


def header(relative_importance):
    """The table's first lines."""
    names = ",".join(f"r={float(r)!r}" for r in relative_importance)
    return f"{UNITS}\ndensity,penalty,phases,{names}\n"


def read(path=None):
    """What a table says, without a path that of `make proofs`: {density [D], penalty [P],
    relative_importance [R], phase [D, P, R] (letters), minimum [D, P, R]: from below}, and
    {letters: {phase: its letter}}."""
    path = Path(path or Path(__file__).with_name("smallest.csv"))
    _, names, *lines = path.read_text().splitlines()
    table = [line.split(",") for line in lines]
    density, penalty = (list(dict.fromkeys(float(row[k]) for row in table)) for k in (0, 1))
    shape = len(density), len(penalty), -1
    return {
        "letters": {PHASES[code]: letter for code, letter in LETTERS.items()},
        "density": np.array(density),
        "relative_importance": np.array([float(name[2:]) for name in names.split(",")[3:]]),
        "penalty": np.array(penalty),
        "phase": np.array([list(row[2]) for row in table]).reshape(shape),
        "minimum": np.array([row[3:] for row in table], float).reshape(shape),
    }


def main():
    parser = argparse.ArgumentParser(description="Global minima of the smallest model, proved.")
    parser.add_argument(
        "--density", type=float, nargs="+", help="these alone, with a line for every penalty"
    )
    parser.add_argument("--table", type=Path, help="where a table of what is proved goes")
    arguments = parser.parse_args()
    table = [header(RELATIVE_IMPORTANCES)]
    for density in arguments.density or DENSITIES:
        proof = prove(density)
        lines = list(report(proof))
        print("\n".join(lines if arguments.density else lines[:1]), flush=True)
        failed = (proof.ratio < 1 - TOLERANCE).sum()
        if failed:
            raise SystemExit(f"density {density:g}: the value is not proved in {failed} cells")
        table += [f"{row}\n" for row in rows(proof)]
    if arguments.table:
        arguments.table.write_text("".join(table))


if __name__ == "__main__":
    main()
