"""Plain text as LaTeX: what a number or a claim looks like in the write-up, and whose it is."""

import re

# Where a claim comes from, by the label its text begins with. Without one it is the paper's.
SOURCES = {
    "": "paper",
    "(common demonstration)": "demonstrations",
    "(two-weight replication)": "demonstrations",
    "(hidden-ReLU demonstration)": "demonstrations",
    "(expected)": "expected",  # by compressed sensing
    "(not in the paper)": "ours",
}

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


def tex_definitions(results):
    """The TeX definitions of a results.json: \\defineresult lines, and \\defineclaim and
    \\tallyclaim for each claim."""
    lines = [f"% Generated from the run of {results['notebook']}. Do not edit."]
    for name, number in results["numbers"].items():
        lines.append(f"\\defineresult{{{name}}}{{{tex_text(number['text'])}}}")
    for name, row in results["claims"].items():
        cells = "".join(f"{{{tex_text(row[key])}}}" for key in ("paper", "found", "verdict"))
        lines.append(f"\\defineclaim{{{name}}}{cells}")
        lines.append(f"\\tallyclaim{{{source(row['paper'])}}}{{{row['verdict']}}}")
    return "\n".join(lines) + "\n"


def source(paper):
    """Where a claim comes from: "paper", "demonstrations", "expected" or "ours".

    Raises ValueError for a label that is not in SOURCES.
    """
    label = re.match(r"\([^)]*\)|", paper)[0]
    if label not in SOURCES:
        raise ValueError(f"the label of a claim must be one of {list(SOURCES)[1:]}, got {label!r}")
    return SOURCES[label]
