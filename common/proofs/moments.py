"""Two features in one dimension: the loss of one output and its moments, enclosed.

z = a x + g y + t with a >= 0; x and y are active with probability p each, then uniform on [0, 1].
q, u, v and F are those of the docstring of `smallest`.
"""

from common.proofs.rounding import (
    NOTHING,
    ZERO,
    add,
    compiled,
    div,
    hull,
    minus,
    mix,
    mul,
    over,
    plus,
    point,
    positive,
    rest,
    share,
    sub,
    times,
    twice,
)


@compiled
def edge(c, t):
    """E relu(t + c x) and E x relu(t + c x) for x uniform on [0, 1], a number c, an interval t.

    Where t and t + c differ in sign, s = -t/c is in [0, 1] and both follow from the end points.
    Where rounding hides whether they do, the answer covers all that is possible.
    """
    end = add(t, point(c))
    first, last = positive(t), positive(end)
    mean, own = NOTHING, NOTHING
    if t[0] <= 0 and end[0] <= 0:
        mean, own = ZERO, ZERO
    if t[1] >= 0 and end[1] >= 0:
        mean = hull(mean, over(plus(first, last), 2.0))
        own = hull(own, over(plus(plus(last, last), first), 6.0))
    if (t[0] < 0 and end[1] > 0) or (t[1] > 0 and end[0] < 0):
        s = share(minus(t), point(c)) if c > 0 else share(t, point(-c))
        kinked = over(mix(s, last, first), 2.0)
        mean = hull(mean, kinked)
        own = hull(own, over(mix(s, last, kinked), 3.0))
    return mean, own


@compiled
def face(a, g, t, low_x, low_y):
    """E relu(z), E x relu(z), E y relu(z) with both features active, for numbers a >= 0, g, t.

    low_x, low_y : the moments with x alone and with y alone, on two edges of the square.
    Where the kink crosses the square, numbers s in [0, 1] with a s_1 + g s_2 = -t give each moment
    as a mixture of those on its four edges (integration by parts); nothing is divided by a or g.
    """
    high_x, high_y = edge(a, add(point(t), point(g))), edge(g, add(point(t), point(a)))
    low = add(point(t), point(min(g, 0.0)))
    high = add(add(point(t), point(a)), point(max(g, 0.0)))
    mean, own, other = NOTHING, NOTHING, NOTHING
    if high[0] <= 0:
        mean, own, other = ZERO, ZERO, ZERO
    if low[1] >= 0:
        average = add(point(t), mul(add(point(a), point(g)), point(0.5)))
        half, twelfth = mul(average, point(0.5)), div(point(1.0), point(12.0))
        mean = hull(mean, positive(average))
        own = hull(own, positive(add(half, mul(point(a), twelfth))))
        other = hull(other, positive(add(half, mul(point(g), twelfth))))
    if low[0] < 0 and high[1] > 0:
        s_1 = share(minus(low), add(point(a), point(abs(g))))
        s_2 = s_1 if g > 0 else rest(s_1)
        both = over(plus(mix(s_1, high_y[0], low_y[0]), mix(s_2, high_x[0], low_x[0])), 3.0)
        by_x = plus(mix(s_2, high_x[1], low_x[1]), mix(s_1, high_y[0], both))
        by_y = plus(mix(s_1, high_y[1], low_y[1]), mix(s_2, high_x[0], both))
        mean = hull(mean, both)
        own, other = hull(own, over(by_x, 4.0)), hull(other, over(by_y, 4.0))
    return mean, own, other


@compiled
def moments(a, g, t, p):
    """q = E [(x, y, 1) relu(a x + g y + t)]: three intervals, for numbers a >= 0, g, t and p."""
    x_alone, x_own = edge(a, point(t))
    y_alone, y_own = edge(g, point(t))
    both, own, other = face(a, g, t, (x_alone, x_own), (y_alone, y_own))
    on, off = point(p), rest(point(p))
    one, two, none = times(on, off), times(on, on), times(off, off)
    v = plus(times(one, x_own), times(two, own))
    w = plus(times(one, y_own), times(two, other))
    m = plus(times(none, positive(point(t))), times(one, plus(x_alone, y_alone)))
    return v, w, plus(m, times(two, both))


@compiled
def inner(q, a, g, t):
    """q . (a, g, t) for intervals q and numbers a, g, t."""
    return add(mul(point(a), q[0]), add(mul(point(g), q[1]), mul(point(t), q[2])))


@compiled
def row_loss(a, g, t, p):
    """F(a, g, t) = p/3 + theta . q - 2 v: an interval, for numbers a >= 0, g, t and p."""
    q = moments(a, g, t, p)
    return add(div(point(p), point(3.0)), sub(inner(q, a, g, t), twice(q[0])))
