"""README.md repeats results of the notebooks: this writes them into it.

    python -m common.build.readme

fills three things from every results/*.json, and a test holds the file to them: the claims ledger,
between its two markers; the numbers of its rows by source and verdict, see `tally`; and each number
in the prose, between markers that GitHub does not show:

    in density by <!--r:phase-two-higher-min-percent-->9<!--/r--> %

Numbers take the text they were recorded with. A marker must not begin a line: Markdown would then
read the whole line as HTML.
"""

import json
import os
import re
import sys
from pathlib import Path

from common.artifacts import ROOT, VERDICTS, table
from common.tex import SOURCES, source

BEGIN, END = "<!-- ledger: begin -->", "<!-- ledger: end -->"


def all_results(root=ROOT):
    """Every results/*.json below `root`, in the order of their paths."""
    for path in sorted(Path(root).glob("0*_*/results/*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def all_claims(root=ROOT):
    """Pairs (linked name, row) of all claims, notebook by notebook in the order of their paths."""
    for results in all_results(root):
        for name, row in results["claims"].items():
            yield f"[`{name}`]({results['notebook']}.ipynb)", row


def all_numbers(root=ROOT):
    """Name -> printed text of all recorded numbers.

    Raises ValueError when two notebooks record the same name.
    """
    texts, owner = {}, {}
    for results in all_results(root):
        for name, number in results["numbers"].items():
            if name in texts:
                both = f"{owner[name]} and {results['notebook']}"
                raise ValueError(f"the result {name!r} is recorded twice, by {both}")
            texts[name], owner[name] = number["text"], results["notebook"]
    return texts


def tally(root=ROOT):
    """Name -> number of rows of the ledger: all of them, of each source, and by its verdicts
    ("ledger-paper", "ledger-paper-holds-in-part", ...)."""
    rows = [(source(row["paper"]), row["verdict"]) for _, row in all_claims(root)]
    counted = {"ledger-claims": len(rows)}
    for name in set(SOURCES.values()):
        verdicts = [given for where, given in rows if where == name]
        counted[f"ledger-{name}"] = len(verdicts)
        for each in VERDICTS:
            counted[f"ledger-{name}-{each.replace(' ', '-')}"] = verdicts.count(each)
    return {name: str(count) for name, count in counted.items()}


def fill(text, kind, values):
    """`text` with values[NAME] in every <!--kind:NAME-->...<!--/kind-->; None keeps what is there.

    Raises ValueError for a NAME that `values` lacks, and for a marker without its other half.
    """

    def filled(match):
        begin, name, old, end = match.groups()
        if name not in values:
            raise ValueError(
                f"README.md names {name!r} in <!--{kind}:...-->: there is no such value"
            )
        new = values[name]
        return f"{begin}{old if new is None else new}{end}"

    pattern = rf"(<!--{kind}:([\w/-]+)-->)((?:(?!<!--).)*)(<!--/{kind}-->)"
    found = len(re.findall(pattern, text))
    if not found == text.count(f"<!--{kind}:") == text.count(f"<!--/{kind}-->"):
        raise ValueError(f"a marker <!--{kind}:NAME-->...<!--/{kind}--> of README.md is incomplete")
    return re.sub(pattern, filled, text)


def with_ledger(text, ledger):
    """`text` with `ledger` between the markers. Raises ValueError when they are missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"README.md must hold the lines {BEGIN!r} and {END!r} once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{ledger}\n{END}{rest.split(END)[1]}"


def refreshed(text, root=ROOT):
    """README.md's `text` with the ledger and the numbers of the results recorded below `root`."""
    values = all_numbers(root) | tally(root)
    claims = all_claims(root)
    rows = [(label, row["paper"], row["found"], f"**{row['verdict']}**") for label, row in claims]
    ledger = table(("claim", "what is claimed", "found here", "verdict"), rows).data
    return fill(with_ledger(text, ledger), "r", values)


def rewrite(root, change):
    """Replace README.md below `root` by change(its text), in one step, when that differs."""
    readme = Path(root) / "README.md"
    text = readme.read_text(encoding="utf-8")
    updated = change(text)
    if updated != text:
        partial = readme.with_name(f"README.md.partial-{os.getpid()}")
        partial.write_text(updated, encoding="utf-8")
        os.replace(partial, readme)


if __name__ == "__main__":
    try:
        rewrite(ROOT, refreshed)
    except ValueError as error:
        sys.exit(f"README.md was left as it is: {error}")
