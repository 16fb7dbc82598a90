"""README.md stays true: its ledger is that of the committed results, its links lead somewhere."""

import re

import pytest

from common.artifacts import ROOT, ledger_table
from common.ledger import all_claims, with_ledger

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
