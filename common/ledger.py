"""The claims ledger in README.md, written from every results/*.json.

    python -m common.ledger

rewrites the part of README.md between its two markers; a test holds the two together.
"""

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- ledger: begin -->", "<!-- ledger: end -->"


def ledger_table(root=ROOT):
    """All claims as a Markdown table, notebook by notebook in the order of their paths."""
    rows = ["| claim | what is claimed | found here | verdict |", "|---|---|---|---|"]
    for path in sorted(Path(root).glob("0*_*/results/*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        for name, row in results["claims"].items():
            link = f"[`{name}`]({results['notebook']}.ipynb)"
            cells = (link, row["paper"], row["found"], f"**{row['verdict']}**")
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def with_ledger(text, table):
    """`text` with `table` between the markers. Raises ValueError when they are missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"README.md must hold the lines {BEGIN!r} and {END!r} once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def main():
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    updated = with_ledger(text, ledger_table())
    if updated != text:
        partial = readme.with_name("README.md.partial")
        partial.write_text(updated, encoding="utf-8")
        os.replace(partial, readme)


if __name__ == "__main__":
    main()
