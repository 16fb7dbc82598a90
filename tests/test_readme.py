"""README.md stays true: its ledger is that of the committed results, its links lead somewhere."""

import re

import pytest

from common.artifacts import ROOT, ledger_table
from common.ledger import all_claims, with_ledger

# The claims of the paper's introduction and of its sections 2 and 3.
PAPER_CLAIMS = {
    "intro-dense", "intro-antipodal", "intro-pentagon", "intro-linear", "basic-linear",
    "basic-dense", "basic-order", "basic-pairs", "basic-count", "basic-sparse", "basic-scale",
    "math-linear", "math-expansion", "math-free", "phase-n2", "phase-n3", "phase-sharp",
    "phase-order", "phase-agree",
}  # fmt: skip
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_ledger_is_that_of_the_committed_results():
    assert with_ledger(README, ledger_table(all_claims())) == README


def test_missing_markers_are_named():
    with pytest.raises(ValueError, match="must hold the lines"):
        with_ledger("no markers", "")


def test_local_links_and_pictures_exist():
    targets = re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README)
    local = [a or b for a, b in targets if not (a or b).startswith("http")]
    assert len(local) > 10
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_every_claim_of_the_paper_has_a_row():
    rows = [re.match(r"\[`(.+?)`\]", label)[1] for label, _ in all_claims()]
    assert sorted(set(rows)) == sorted(rows)
    assert set(rows) >= PAPER_CLAIMS


def test_the_write_up_lists_every_claim():
    tex = (ROOT / "FINDINGS.tex").read_text(encoding="utf-8")
    listed = re.findall(r"\\claimrow\{([a-z0-9-]+)\}", tex)
    assert sorted(listed) == sorted(re.match(r"\[`(.+?)`\]", label)[1] for label, _ in all_claims())
