"""Everything a notebook leaves behind: figures, animations, arrays, numbers and claims.

A notebook opens one `Output("01_introduction/introduction")` and writes through it. The results
end up beside the notebook only through `python -m common.build.execution` (make), which runs it in
a staging folder and publishes all files at once; by hand, in Jupyter, they go to build/interactive/
and leave the committed ones alone.

    figures/<name>.png, .pdf, .gif    pictures
    data/<name>.csv, .npz             small data that others use: committed under results/
    arrays/<name>.npz                 data too large to commit
    results.json                      parameters, numbers and claims
    results.tex                       the same as TeX definitions, read by FINDINGS.tex

All bytes are deterministic: no dates, no versions, no paths.
"""

import json
import math
import os
import re
from pathlib import Path
from string import Formatter

import numpy as np
from IPython.display import Markdown, display

from common import OUTPUT_VARIABLE, parameters
from common.tex import source, tex_definitions, tex_text

ROOT = Path(__file__).resolve().parent.parent
VERDICTS = ("holds", "holds in part", "does not hold")
NOT_TESTED = "not tested"  # with other parameters than those the claim is about
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
DATA_NAME = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")  # read by scripts, so underscores as well


class Output:
    """Where one notebook writes. `notebook` is "section/name", without the .ipynb.

    Raises ValueError for a name that is not of that form.
    """

    def __init__(self, notebook):
        if notebook.count("/") != 1:
            raise ValueError(f'a notebook is named "section/name", got {notebook!r}')
        self.notebook = notebook
        self.parameters, self.changed = {}, {}
        self.numbers = {}
        self.claims = {}
        staging = os.environ.get(OUTPUT_VARIABLE)
        self.live = not staging
        self.folder = Path(staging) if staging else ROOT / "build" / "interactive" / notebook

    def check_parameters(self, namespace, **ranges):
        """Check the parameters, the UPPER-CASE names of `namespace` (globals()), before they count.

        ranges : name=(least, most), for lists of every entry. By hand they are also held against
        those of the published run: where they differ, it is said here and at the ledger, claims
        are not tested, and files go to a folder of their own. Raises ValueError for a value
        outside its range and for a name that papermill set and the notebook does not have.
        """
        self.parameters = parameters.found(namespace)
        parameters.check_ranges(self.parameters, ranges)
        if not self.live:
            return
        section, name = self.notebook.split("/")
        results = ROOT / section / "results" / f"{name}.json"
        published = json.loads(results.read_text()) if results.is_file() else {}
        published = published.get("parameters", self.parameters)
        parameters.check_names(published)
        self.changed = parameters.changes(self.parameters, published)
        if self.changed:
            self.folder /= parameters.folder_name(self.changed)
            display(Markdown(parameters.note(self.changed, self.folder.relative_to(ROOT))))

    def save_figure(self, figure, name):
        """Write a matplotlib figure as PNG (for GitHub) and PDF (for LaTeX)."""
        path = self._path("figures", name)
        # Laid out once, and not again for each file and for the notebook.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        options = {"bbox_inches": "tight", "pad_inches": 0.05}
        clean = {"Creator": None, "Producer": None, "CreationDate": None}
        _write(path.with_suffix(".png"), figure.savefig, metadata={"Software": None}, **options)
        _write(path.with_suffix(".pdf"), figure.savefig, metadata=clean, **options)

    def save_animation(self, frames, name, milliseconds):
        """Write frames (PIL images of one size and palette) as an endless GIF; return its path.

        milliseconds : how long each frame stays, one number a frame.
        """
        path = self._path("figures", name).with_suffix(".gif")
        options = {"save_all": True, "append_images": frames[1:], "loop": 0, "disposal": 1}
        _write(path, frames[0].save, duration=list(milliseconds), optimize=False, **options)
        return path

    def save_arrays(self, name, *, kind="arrays", **arrays):
        """Write arrays as a compressed npz file: kind "arrays" under the ignored build folder,
        kind "data", for small ones, under results/, committed."""
        arrays = {key: np.asarray(value) for key, value in arrays.items()}
        _write(self._path(kind, name).with_suffix(".npz"), np.savez_compressed, **arrays)

    def save_table(self, name, units, **columns):
        """Write columns of equal length (numbers, or text that shows just the digits that stand)
        as results/<name>.csv, for others to overlay: a line "# units", the names, the rows.

        Raises ValueError for columns of different lengths.
        """
        rows = zip(*columns.values(), strict=True)
        cells = ((v if isinstance(v, str) else f"{v:.10g}" for v in row) for row in rows)
        lines = [f"# {units}", ",".join(columns), *(",".join(row) for row in cells)]
        path = self._path("data", name).with_suffix(".csv")
        _write(path, Path.write_text, "\n".join(lines) + "\n", encoding="utf-8")

    def record(self, name, value, form=".3g"):
        """Keep a number for the write-up, printed there with format `form`; return its text, to be
        shown at once: in a row of a table, or by `show`, which records what it prints.

        In FINDINGS.tex it is \\result{name}; names are unique over the whole collection. Raises
        ValueError for a value that is not finite, text that has no LaTeX, and, in a run by make, a
        name used before: by hand cells are run again, and the last value stands.
        """
        name = _check_name(name)
        if name in self.numbers and not self.live:
            raise ValueError(f"the result {name!r} was recorded before")
        value = value.item() if hasattr(value, "item") else value
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the result {name!r} must be finite, got {value}")
        text = value if isinstance(value, str) else format(value, form)
        tex_text(text)
        self.numbers[name] = {"value": value, "text": text}
        self._save_results()
        return text

    def show(self, text, *values, **numbers):
        """Print `text` with its {} filled in, and record the named numbers among them.

            output.show("{} features, {gap_min:.1f} degrees apart or more", 5, gap_min=69.57)

        prints 5 and 69.6 and records the latter under gap-min, with the same format. Raises
        ValueError for a named number that `text` does not print, and as `record` does.
        """
        forms = {name: form for _, name, form, _ in Formatter().parse(text) if name}
        if unseen := sorted(set(numbers) - set(forms)):
            raise ValueError(f"{text!r} does not print {unseen[0]!r}")
        shown = dict(numbers)
        for name, value in numbers.items():
            shown[name] = self.record(name.replace("_", "-"), value, forms[name] or ".3g")
        text = re.sub(r"\{([a-z]\w*):[^{}]*\}", r"{\1}", text)  # those are formatted already
        print(text.format(*values, **shown))

    def claim(self, name, *, paper, found, verdict):
        """Judge a claim: show what is claimed, what was found here and the verdict, and keep them
        as a row of the ledger.

        paper   : the claim. Where it is not the paper's it begins with a label of SOURCES; a claim
                  of your own with "(not in the paper)".
        verdict : "holds", "holds in part" or "does not hold", see `verdict`.
        """
        name = _check_name(name)
        source(paper)
        if verdict not in VERDICTS:
            raise ValueError(f"verdict must be one of {VERDICTS}, got {verdict!r}")
        if name in self.claims and not self.live:
            raise ValueError(f"the claim {name!r} has a row already")
        paper, found = (" ".join(text.split()) for text in (paper, found))  # a row is one line
        tex_text(paper + found)
        verdict = NOT_TESTED if self.changed else verdict
        self.claims[name] = {"paper": paper, "found": found, "verdict": verdict}
        self._save_results()
        display(Markdown(f"> **Claim** `{name}`: {paper}\n>\n> **Found**: {found}: *{verdict}*"))

    def ledger(self):
        """The claims and their verdicts as a table, for display at the end of the notebook. (What
        was found stands where it was, beside its evidence.)"""
        if self.changed:
            display(Markdown(parameters.note(self.changed, self.folder.relative_to(ROOT))))
        rows = [(f"`{k}`", row["paper"], f"**{row['verdict']}**") for k, row in self.claims.items()]
        return table(("claim", "what is claimed", "verdict"), rows)

    def _path(self, kind, name):
        pattern = NAME if kind == "figures" else DATA_NAME
        return self.folder / kind / _check_name(name, pattern)

    def _save_results(self):
        names = ("notebook", "parameters", "numbers", "claims")
        results = {name: getattr(self, name) for name in names}
        text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        _write(self.folder / "results.json", Path.write_text, text, encoding="utf-8")
        _write(self.folder / "results.tex", Path.write_text, tex_definitions(results))


def verdict(holds, in_part=False):
    """The verdict on a claim, by one rule: a claim is judged AS IT IS WORDED.

    holds   : every part of the wording is met. Counts that were published in a figure are met up
              to about one feature, the error of reading them off it.
    in_part : some part of the wording is met.

    What the wording leaves open (an exact optimum that differs from a theory the claim is about)
    is said in `found` and does not change the verdict.
    """
    if holds:
        return VERDICTS[0]
    return VERDICTS[1] if in_part else VERDICTS[2]


def table(header, rows):
    """Rows of cells (text, or what str() makes of it) as a Markdown table, for display."""
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in (header, *rows)]
    head, *body = [f"| {' | '.join(line)} |" for line in cells]
    return Markdown("\n".join([head, "|---" * len(header) + "|", *body]))


def _check_name(name, pattern=NAME):
    if not pattern.fullmatch(name):
        raise ValueError(f"names are lower-case words joined by hyphens, got {name!r}")
    return name


def _write(path, writer, *args, **options):
    """Call writer(path, ...) on a temporary file and move it into place: never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    writer(partial, *args, **options)
    os.replace(partial, path)
