"""Training steps, compiled: inputs drawn, gradients written out by hand, AdamW.

With h = W x (or its ReLU), z = W_out h + b, x' = f(z) and g = dL/dz = 2 I f'(z) (x' - x) / batch:

    dL/db = sum g,   dL/dW_out = g h^T,   dL/dW = (W_out^T g, cut where a ReLU hid h) x^T,

and a tied model adds the transpose of dL/dW_out to dL/dW. All of it is done for one instance and
TILE inputs at a time, which stay in the fastest cache, in rows along the inputs. Loops along a row
are elementwise and sums over inputs keep LANES partial sums, so a processor's widest instructions
can be used and yet every processor gets the same bits.
"""

import numpy as np
from numba import njit

# All of it stands in one file because numba compiles anew only when this file changes.
TILE = 128  # inputs at a time
LANES = 16  # partial sums of every sum over inputs: TILE / 8, see `_add_products`
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of AdamW
UNIT = np.float32(2.0**-24)  # spacing of the uniform numbers

compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def inputs(u, v, slope, before):
    """Turn uniform numbers u [n, batch] and v [batch] in [0, 1) into inputs, in place.

    A feature is active iff u < p, and 1 - u/p is then uniform: x = relu(1 - u/p). Among inputs
    that are not empty, v tells which feature is the first active one: those in front of it are
    zero, it is uniform itself, and those behind it are as in all inputs.

    slope  [n]     : -1/p.
    before [n + 1] : chance that one of the features in front is active, given that any is; the
                     last is above 1. All above 1: inputs of any kind, empty ones as well.
    """
    for j in range(len(u)):
        row, steep, least, most = u[j], slope[j], before[j], before[j + 1]
        for t in range(len(v)):
            later = max(row[t] * steep + np.float32(1), np.float32(0))
            first = row[t] if v[t] < most else np.float32(0)
            row[t] = later if v[t] < least else first


@compiled
def stacked_inputs(u, v, slope, before):
    """`inputs` for a stack: every argument has an axis of instances in front."""
    for k in range(len(u)):
        inputs(u[k], v[k], slope[k], before[k])


def random_states(count, seed):
    """States [count, 4 TILE] for `uniform`; the first of them are the same whatever the count."""
    generator = np.random.Generator(np.random.SFC64(seed))
    return generator.integers(2**32, size=(count, 4 * TILE), dtype=np.uint32)


@compiled
def uniform(state, out):
    """Fill out [rows, TILE] with uniform numbers in [0, 1): TILE generators SFC32 side by side.

    state [4 TILE] of uint32 : the words a, b, c and the counter of all generators (Doty-Humphrey,
    PractRand). Any start will do; numpy's SFC64 gives them.
    """
    for i in range(len(out)):
        row = out[i]
        for t in range(TILE):
            a, b, c = state[t], state[t + TILE], state[t + 2 * TILE]
            d = state[t + 3 * TILE]
            drawn = np.uint32(a + b + d)
            state[t] = np.uint32(b ^ (b >> np.uint32(9)))
            state[t + TILE] = np.uint32(c + np.uint32(c << np.uint32(3)))
            turned = np.uint32(np.uint32(c << np.uint32(21)) | np.uint32(c >> np.uint32(11)))
            state[t + 2 * TILE] = np.uint32(turned + drawn)
            state[t + 3 * TILE] = np.uint32(d + np.uint32(1))
            row[t] = np.float32(np.int32(drawn >> np.uint32(8))) * UNIT


@compiled
def train_steps(
    weights, moments, kind, importance, share, batch, draws, x, schedule, decay, work, sums
):
    """As many AdamW steps as `schedule` is long, for every instance in turn; changes `weights`.

    weights    [instances, rows, n] : W_out^T above b, above W in an untied model.
    moments    [2, instances, rows, n] : AdamW's, changed in place.
    kind       : whether tied, with a hidden ReLU, with a ReLU at the output, with a bias to train.
    importance [instances, n].
    share      [instances] : probability that an input is of the kind that is drawn, all others
               being empty; their part of the gradient is added exactly.
    batch      : inputs a step.
    draws      : (thinned, states [instances, 4 TILE], slope [instances, n], before
               [instances, n + 1]). If thinned, the number of inputs drawn is itself drawn: how many
               of `batch` are not empty.
    x          [instances, n, batch] : inputs for a single step, or with batch 0: draw them.
    schedule   [steps, 3] : learning rate, the same over the bias correction of the mean, and the
               root of that of the mean square.
    decay      : weight decay.
    work       [2 (n + m) + 1, TILE], sums [rows, n, LANES] : overwritten.
    """
    thinned, states, slope, before = draws
    n, m = weights.shape[2], (len(work) - 1) // 2 - weights.shape[2]
    gradient = np.empty(weights.shape[1:], np.float32)
    for k in range(len(weights)):
        for step in range(len(schedule)):
            sums[:] = 0
            count = _not_empty(states[k], share[k], batch, work) if thinned else batch
            seen = 1 / batch if thinned else share[k] / batch
            scale = (2 * seen * importance[k]).astype(np.float32)
            for first in range(0, count, TILE):
                if x.shape[2]:
                    _copy(x[k], first, work)
                else:
                    uniform(states[k], work[: n + 1])
                    inputs(work[:n], work[n], slope[k], before[k])
                _add_gradients(weights[k], kind, scale, min(TILE, count - first), work, sums)
            _add_lanes(sums, gradient)
            for i in range(n):  # empty inputs have x = 0 and x' = f(b)
                b = weights[k, m, i]
                at_zero = max(b, np.float32(0)) if kind[2] else b
                gradient[m, i] += 2 * (1 - seen * count) * importance[k, i] * at_zero
            frozen = -1 if kind[3] else m
            _adamw(weights[k], gradient, moments[:, k], schedule[step], decay, frozen)


@compiled
def _not_empty(state, share, batch, work):
    """How many of `batch` inputs are not empty, each with probability `share`."""
    count = 0
    for first in range(0, batch, TILE):
        uniform(state, work[:1])
        for t in range(min(TILE, batch - first)):
            count += work[0, t] < share
    return count


@compiled
def _copy(x, first, work):
    """Inputs x [n, batch] from `first` on into work [n + ..., TILE], zeros behind the last."""
    for i in range(len(x)):
        work[i] = 0
        for t in range(min(TILE, x.shape[1] - first)):
            work[i, t] = x[i, first + t]


@compiled
def _add_gradients(weights, kind, scale, count, work, sums):
    """Add to `sums` the gradients by the weights for the first `count` inputs in `work`."""
    tied, hidden_relu, output_relu, _ = kind
    n = weights.shape[1]
    m = (len(work) - 1) // 2 - n
    x, g, h, by_h = work[:n], work[n + 1 : 2 * n + 1], work[-2 * m : -m], work[-m:]
    decoder, encoder = weights[:m], weights[:m] if tied else weights[m + 1 :]
    h[:] = 0
    _combine(encoder, x, h)
    if hidden_relu:
        for k in range(m):
            for t in range(TILE):
                h[k, t] = max(h[k, t], np.float32(0))
    for i in range(n):
        g[i] = weights[m, i]
    _combine(decoder.T, h, g)
    for i in range(n):
        _through_output(x[i], g[i], scale[i], output_relu)
        g[i, count:] = 0
        for first in range(0, TILE, LANES):
            for t in range(LANES):
                sums[m, i, t] += g[i, first + t]
    by_h[:] = 0
    _combine(decoder, g, by_h)
    if hidden_relu:
        for k in range(m):
            for t in range(TILE):
                by_h[k, t] = by_h[k, t] if h[k, t] > 0 else np.float32(0)
    _add_products(h, g, sums[:m])
    _add_products(by_h, x, sums[:m] if tied else sums[m + 1 :])


@compiled
def _through_output(x, z, scale, relu):
    """Turn z [TILE] of one output into its g."""
    for t in range(TILE):
        error = scale * (z[t] - x[t])
        z[t] = np.float32(0) if relu and z[t] <= 0 else error


@compiled
def _combine(weights, rows, out):
    """Add weights [r, s] times rows [s, TILE] to out [r, TILE]."""
    for i in range(len(out)):
        to = out[i]
        for q in range(len(rows) // 2):  # two at a time: half as many loads and stores of `to`
            w0, w1, row0, row1 = (
                weights[i, 2 * q],
                weights[i, 2 * q + 1],
                rows[2 * q],
                rows[2 * q + 1],
            )
            for t in range(TILE):
                to[t] += w0 * row0[t] + w1 * row1[t]
        for k in range(len(rows) // 2 * 2, len(rows)):
            w, row = weights[i, k], rows[k]
            for t in range(TILE):
                to[t] += w * row[t]


@compiled
def _add_products(a, b, sums):
    """Add a [r, TILE] times the transpose of b [s, TILE] to sums [r, s, LANES]."""
    for k in range(len(a)):
        x = a[k]
        for i in range(len(b)):
            y, to = b[i], sums[k, i]
            for t in range(LANES):
                to[t] += (
                    (x[t] * y[t] + x[t + 16] * y[t + 16])
                    + (x[t + 32] * y[t + 32] + x[t + 48] * y[t + 48])
                ) + (
                    (x[t + 64] * y[t + 64] + x[t + 80] * y[t + 80])
                    + (x[t + 96] * y[t + 96] + x[t + 112] * y[t + 112])
                )


@compiled
def _add_lanes(sums, total):
    """Sums over the last axis, in an order that does not depend on the processor."""
    for r in range(total.shape[0]):
        for i in range(total.shape[1]):
            s = sums[r, i]
            total[r, i] = (((s[0] + s[8]) + (s[4] + s[12])) + ((s[2] + s[10]) + (s[6] + s[14]))) + (
                ((s[1] + s[9]) + (s[5] + s[13])) + ((s[3] + s[11]) + (s[7] + s[15]))
            )


@compiled
def _adamw(weights, gradient, moments, rates, decay, frozen):
    """One step of AdamW (Loshchilov and Hutter, 2019) for weights [rows, n] but row `frozen`."""
    kept, pace, root = np.float32(1 - rates[0] * decay), np.float32(rates[1]), np.float32(rates[2])
    old1, new1 = np.float32(BETA1), np.float32(1 - BETA1)
    old2, new2 = np.float32(BETA2), np.float32(1 - BETA2)
    for r in range(len(weights)):
        if r == frozen:
            continue
        w, g, mean, square = weights[r], gradient[r], moments[0, r], moments[1, r]
        for i in range(len(w)):
            mean[i] = old1 * mean[i] + new1 * g[i]
            square[i] = old2 * square[i] + new2 * (g[i] * g[i])
            size = np.sqrt(square[i]) / root + np.float32(EPSILON)
            w[i] = kept * w[i] - pace * (mean[i] / size)
