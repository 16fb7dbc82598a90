"""The committed figures, as GitHub shows them."""

import pytest
from PIL import Image

from common.artifacts import ROOT


@pytest.mark.parametrize("section", sorted(path.name for path in ROOT.glob("0*_*")))
def test_figures_are_opaque(section):
    """On the dark page of a reader who prefers that, black lines on nothing would be lost."""
    for path in (ROOT / section).rglob("*.png"):
        with Image.open(path) as image:
            assert image.convert("RGBA").getextrema()[3] == (255, 255), path.name
