"""The parameters of a notebook: what they are, in which range, and whether they were changed."""

import ast
import hashlib
import json
import re
from contextlib import suppress

from IPython import get_ipython

LONGEST_NAME = 80  # characters of a folder's name


def found(namespace):
    """The parameters {name: value} among the names of `namespace`: plain values in UPPER CASE."""
    values = {}
    for name in (name for name in namespace if name.isupper() and not name.startswith("_")):
        with suppress(TypeError):  # an imported constant that is no plain value
            values[name] = json.loads(json.dumps(namespace[name]))
    return values


def check_ranges(parameters, ranges):
    """Raise ValueError unless every parameter, or entry of it, lies in its range (least, most)."""
    for name, (least, most) in ranges.items():
        value = parameters[name]
        entries = value if isinstance(value, list) else [value]
        if not entries:
            raise ValueError(f"{name} must have at least one entry")
        for entry in entries:
            if isinstance(entry, bool) or not isinstance(entry, int | float):
                raise ValueError(f"{name} must be made of numbers, got {entry!r}")
        wrong = [entry for entry in entries if not least <= entry <= most]
        if wrong:
            allowed = f"be {least}" if least == most else f"lie between {least} and {most}"
            raise ValueError(f"{name} must {allowed}, got {wrong[0]!r}")


def check_names(known):
    """Raise ValueError for a name that papermill set and that is none of the `known` ones.

    Papermill puts what it sets into a cell of its own behind the parameters, and only warns.
    """
    shell = get_ipython()
    cells = shell.user_ns.get("In", []) if shell else []
    for cell in (cell for cell in cells if cell.startswith("# Parameters\n")):
        for statement in ast.parse(cell).body:
            for target in getattr(statement, "targets", []):
                if target.id not in known:
                    raise ValueError(f"no parameter {target.id!r}; there are {', '.join(known)}")


def changes(parameters, published):
    """{name: (published value, value)} of the parameters that differ, but for the seed."""
    return {
        name: (published[name], value)
        for name, value in parameters.items()
        if name in published and value != published[name] and name != "SEED"
    }


def folder_name(changed):
    """A name for the files of a run with changed parameters, like N_HIDDEN=3_STEPS=500.

    A long one is cut, and ends with a mark that tells it from others with the same beginning.
    """
    names = "_".join(f"{name}={now}" for name, (_, now) in changed.items())
    short = re.sub(r"[^\w=.-]+", "-", names).strip("-")
    if len(short) <= LONGEST_NAME:
        return short
    return f"{short[:LONGEST_NAME]}_{hashlib.sha256(names.encode()).hexdigest()[:6]}"


def note(changed, folder):
    """What a reader of a run with `changed` parameters has to know, in Markdown."""
    what = ", ".join(f"{name} = {now} (published: {then})" for name, (then, now) in changed.items())
    return (
        f"> **Not the published parameters**: {what}. What the text says of results was written "
        "for the published ones, and claims count as not tested. Figures and numbers of this run: "
        f"`{folder}`."
    )
