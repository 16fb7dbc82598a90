"""Plain text as LaTeX: what a number or a claim looks like in the write-up."""

import re

# Characters that claims may use, as LaTeX. Anything else outside ASCII is an error.
TEX = {
    "\\": r"\textbackslash{}", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_", "$": r"\$",
    "{": r"\{", "}": r"\}", "^": r"\^{}", "~": r"\~{}", "<": "$<$", ">": "$>$", "|": "$|$",
    "°": r"\textdegree{}", "±": r"$\pm$", "×": r"$\times$", "≈": r"$\approx$", "≤": r"$\leq$",
    "≥": r"$\geq$", "−": "$-$", "–": "--", "…": r"\dots{}", "²": r"$^2$", "√": r"$\surd$",
    "→": r"$\to$", "·": r"$\cdot$", "’": "'", "“": "``", "”": "''", "‖": r"$\Vert$",
}  # fmt: skip

# Applied after that: 0e+00, 4.6e-12, and what stands behind a circumflex.
POWERS = {
    r"\b0(\.0*)?e\+00\b": "0",
    r"\b(\d+(?:\.\d+)?)e([+-])0*(\d+)\b": lambda m: (
        f"${m[1]} \\times 10^{{{m[2].replace('+', '')}{m[3]}}}$"
    ),
    r"\\\^\{\}\((?:\$(.)\$)?(\w+)\)": lambda m: f"$^{{{m[1] or ''}{m[2]}}}$",
    r"\\\^\{\}(\w+)": r"$^{\1}$",
}


def tex_text(text):
    """Plain text as LaTeX: true minus signs, powers of ten and raised exponents.

    Raises ValueError for a character it has no translation of.
    """
    text = re.sub(r"(?<![\w.-])-(?=\d)", "−", text)
    unknown = sorted({c for c in text if not c.isascii() and c not in TEX})
    if unknown:
        raise ValueError(f"no LaTeX for the character {unknown[0]!r} in {text!r}")
    text = "".join(TEX.get(c, c) for c in text)
    for pattern, replacement in POWERS.items():
        text = re.sub(pattern, replacement, text)
    return text
