"""The claims ledger in README.md, written from every results/*.json.

    python -m common.ledger

rewrites the part of README.md between its two markers; a test holds the two together.
"""

import json
import os
from pathlib import Path

from common.artifacts import ROOT, ledger_table

BEGIN, END = "<!-- ledger: begin -->", "<!-- ledger: end -->"


def all_claims(root=ROOT):
    """Pairs (linked name, row) of all claims, notebook by notebook in the order of their paths."""
    for path in sorted(Path(root).glob("0*_*/results/*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        for name, row in results["claims"].items():
            yield f"[`{name}`]({results['notebook']}.ipynb)", row


def with_ledger(text, table):
    """`text` with `table` between the markers. Raises ValueError when they are missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"README.md must hold the lines {BEGIN!r} and {END!r} once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def main():
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    updated = with_ledger(text, ledger_table(all_claims()))
    if updated != text:
        partial = readme.with_name("README.md.partial")
        partial.write_text(updated, encoding="utf-8")
        os.replace(partial, readme)


if __name__ == "__main__":
    main()
