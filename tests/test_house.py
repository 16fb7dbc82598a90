"""The structure of `common`: its map is complete, and imports go one way."""

import ast
import re
from pathlib import Path

import pytest

import common

HOUSE = Path(common.__file__).parent
# From what knows nothing of the others to what may know them all. A topic knows the core and what
# stands before it here; of each other topics know nothing.
PORTABLE = {"exact.atoms", "exact.checks", "exact.cube", "exact.harmonics", "exact.jit"}
PORTABLE |= {"exact.linear", "exact.loss", "exact.series"}
CORE = ("parallel", "geometry", "steps", "data", "model", "training", "exact")
CORE += ("restarts", "theory", "parameters", "tex", "artifacts")
TOPICS = {
    "proofs": {"proofs"},  # nothing that a proof could inherit an error from
    "plots": {"geometry", "data"},
    "phases": {*CORE, "plots"},
    "recovery": {*CORE, "plots"},
    "variants": {*CORE, "plots"},
    "robustness": {*CORE, "plots", "phases"},
    "explorer": {*CORE, "plots", "phases"},
    "build": {"artifacts", "tex"},
}


def modules():
    """Dotted names below `common` of all modules, without packages."""
    files = (path.relative_to(HOUSE) for path in HOUSE.rglob("*.py"))
    return sorted(
        ".".join(file.with_suffix("").parts) for file in files if file.name != "__init__.py"
    )


def imports(module):
    """First parts of the names below `common` that a module imports, or all of PORTABLE ones."""
    tree = ast.parse((HOUSE / Path(*module.split("."))).with_suffix(".py").read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level or module in PORTABLE, "absolute imports only"
            names |= {f"{node.module}.{alias.name}" for alias in node.names if not node.level}
    below = {name.removeprefix("common.") for name in names if name.startswith("common.")}
    below = {name for name in below if not name.isupper()}  # constants of the package itself
    portable = {one for one in PORTABLE if any(f"{name}.".startswith(f"{one}.") for name in below)}
    others = {
        name.split(".")[0] for name in below if not any(name.startswith(one) for one in portable)
    }
    return portable | others


def described(text):
    """Names of modules that stand at the beginning of a line of the map."""
    return re.findall(r"^ {4}([a-z_.]+)  ", text, flags=re.MULTILINE)


def test_the_map_names_every_module_once():
    assert sorted(described(common.__doc__)) == modules()


@pytest.mark.parametrize("module", modules())
def test_imports_go_one_way(module):
    first = module.split(".")[0]
    allowed = TOPICS.get(first) or set(CORE[: CORE.index(first)])
    allowed |= {first} if "." in module else set()
    assert imports(module) - PORTABLE <= allowed
    if module in PORTABLE:
        assert not imports(module)


def test_no_module_of_the_core_is_one_notebooks_own():
    """What one notebook alone imports belongs to a topic."""
    notebooks = [path.read_text() for path in HOUSE.parent.glob("0*_*/*.ipynb")]
    everywhere = "".join(path.read_text() for path in HOUSE.rglob("*.py"))
    for module in (name for name in modules() if "." not in name):
        users = sum(f"common.{module} import" in text for text in notebooks)
        shared = re.search(rf"common.{module} import|from common import .*\b{module}\b", everywhere)
        assert users > 1 or shared


def test_only_a_small_core_lies_flat():
    assert len(list(HOUSE.glob("*.py"))) <= 12
