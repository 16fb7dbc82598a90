r"""Several features on one axis: a conjectured value of the loss, refuted by rational certificates.

Weights of one nonzero entry in every column split a model into m axes. The conjecture: n >= 2 m
features of equal importance then cost at least

    min( (n - m) s2,  m p^2/3 + (n - 2 m) s2 ),      s2 = p/3 - p^2/4,

m features stored alone or m antipodal pairs with weights 1, -1 and biases 0, the others dropped.
Each certificate below is a model with m = 1 that costs less: rational W, b and p, its loss in exact
rational arithmetic. The first stores a pair, the others three features on the one axis. So it fails
for all n >= 2 m: m copies of that pair, the other features dropped, cost less at p = 1/2 < 4/7.

The loss is a sum over the sets C of active features. With z = t + sum_C c_j x_j, the x_j uniform on
[0, 1], k = |C| and all c_j nonzero,

    M(c, t) = E relu(z)^2
            = 2 / ((k + 2)! prod c_j) sum over v in {0, 1}^C of (-1)^(k - |v|) relu(t + c.v)^(k + 2)

(integrate k times), and E x_i relu(z) = 1/2 dM/dc_i. Nothing here but Python's fractions.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from math import factorial, prod


@dataclass
class Certificate:
    """A model of n features on one axis: weights W [n], biases b [n], all active with density p."""

    statement: str
    W: list
    b: list
    p: Fraction


def fractions(text):
    return [Fraction(word) for word in text.split()]


CERTIFICATES = (
    Certificate(
        "two features on one axis cost less than p^2/3",
        W=fractions("1 -1"),
        b=fractions("1/12 1/12"),
        p=Fraction(1, 2),
    ),
    Certificate(
        "three features on one axis cost less than p^2/3 + s2",
        W=fractions("1 -1 -2/5"),
        b=fractions("0 -1/8 1/40"),
        p=Fraction(1, 10),
    ),
    Certificate(
        "three features on one axis cost less than p^2/3 + s2",
        W=fractions("1 -1 -3/7"),
        b=fractions("0 -1/8 0"),
        p=Fraction(1, 64),
    ),
)


def moments(c, t, i=None):
    """E relu(z)^2, and E x_i relu(z) if i is given, for z = t + sum of c_j x_j over c, a dict."""
    k, own = len(c), Fraction(0)
    scale = Fraction(2, factorial(k + 2)) / prod(c.values())
    square = Fraction(0)
    for corner in product((0, 1), repeat=k):
        v = dict(zip(c, corner, strict=True))
        height = max(t + sum(c[j] for j in c if v[j]), Fraction(0))
        sign = (-1) ** (k - sum(corner))
        square += scale * sign * height ** (k + 2)
        if i is not None and v[i]:
            own += scale * sign * (k + 2) * height ** (k + 1)
    if i is not None:
        own = (
            own - square / c[i]
        ) / 2  # the product of c in the denominator depends on c_i as well
    return square, own


def loss(W, b, p):
    """E |x - relu(W^T W x + b)|^2 for W [n] on one axis, none of them 0, in rational arithmetic."""
    n, total = len(W), Fraction(0)
    for i, k in product(range(n), range(n + 1)):
        chance = p**k * (1 - p) ** (n - k)
        for active in combinations(range(n), k):
            c = {j: W[i] * W[j] for j in active}
            square, own = moments(c, b[i], i if i in active else None)
            total += chance * (square - 2 * own + (Fraction(1, 3) if i in active else 0))
    return total


def conjectured(n, p, m=1):
    """The conjectured least loss of n >= 2 m features on m axes."""
    dropped = p / 3 - p**2 / 4
    return min((n - m) * dropped, m * p**2 / 3 + (n - 2 * m) * dropped)


def check(certificate):
    """The certificate's loss and the conjectured value. ValueError unless the loss is lower."""
    found = loss(certificate.W, certificate.b, certificate.p)
    value = conjectured(len(certificate.W), certificate.p)
    if not found < value:
        raise ValueError(f"does not hold: {certificate.statement}: {found} is not below {value}")
    return found, value


def main():
    for certificate in CERTIFICATES:
        found, value = check(certificate)
        model = f"p = {certificate.p}, W = ({', '.join(map(str, certificate.W))})"
        model += f", b = ({', '.join(map(str, certificate.b))})"
        numbers = f"{found} < {value} ({float(found):.6f} < {float(value):.6f})"
        print(f"{certificate.statement}: {model}: {numbers}")


if __name__ == "__main__":
    main()
