"""The Makefile and common/build/setup.sh, in a made-up project whose programs are all stubs.

Nothing is downloaded or computed: python, pip, latexmk, apt-get and sudo are little shell scripts
that append what they were asked for to calls.txt. PATH holds them and a few plain tools only.
"""

import os
import re
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

pytestmark = pytest.mark.slow  # each of them starts make and a dozen shells

REPOSITORY = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make")
TOOLS = "awk cat cmp cp env find grep head mkdir mv rm sed sh sleep sort touch tr"

# The notebooks of the project, each with the modules of common that it imports.
NOTEBOOKS = {
    "01_first/one": "common/data.py common/plots/style.py",
    "01_first/two": "common/data.py",
    "02_second/three": "common/geometry.py",
}
# One more, which only its own target runs.
ROBUSTNESS = "02_second/robustness"

# .venv/bin/python. The stub notebooks hold the list of their modules; a stub run takes a while,
# so that under -j two of them overlap.
VENV_PYTHON = """#!/bin/sh
case "$*" in
*platform.machine*) echo "${PLATFORM:-Linux x86_64}" ;;
-c*) echo "${VENV_VERSION:-3.12}" ;;
"-m pip --version") ;;
"-m pip freeze"*) cat frozen ;;
"tests/browser/chromium.py") [ -z "${NO_BROWSER:-}" ] || grep -q "$NO_BROWSER" calls.txt ;;
"-m common.build.readme") echo refreshed >>README.md ;;
"-m pip install"*"-r requirements.txt -c common/build/constraints.txt")
    echo pip >>calls.txt; exit ${PIP_STATUS:-0} ;;
"-m common.build.execution"*)
    build=build
    for last; do [ "$last" = --quick ] && build=build/quick; done
    echo "run $last" >>calls.txt
    sleep 0.1
    stamp=$build/stamps/${last%.ipynb}
    mkdir -p "${stamp%/*}"
    { echo "$stamp.done: $(cat "$last")"; for m in $(cat "$last"); do echo "$m:"; done; } >$stamp.d
    touch "$stamp.done"
    echo "end $last" >>calls.txt ;;
*) echo "$*" >>calls.txt ;;
esac
"""

# The python3 of the system.
PYTHON = """#!/bin/sh
case "$*" in
*version_info*) echo "${PYTHON_VERSION:-3.12}" ;;
*ensurepip*) [ -z "${NO_VENV:-}" ] || [ -e has-venv ] ;;
*"-m venv --clear .venv")
    echo venv >>calls.txt
    rm -rf .venv
    mkdir -p .venv/bin
    cp venv-python .venv/bin/python ;;
esac
"""

LATEXMK = """#!/bin/sh
echo "latexmk $TEXINPUTS" >>calls.txt
for argument; do case $argument in -outdir=*) out=${argument#-outdir=} ;; esac; done
if [ -n "${BAD_TEX:-}" ]; then
    echo "./FINDINGS.tex:3: Undefined control sequence." >$out/FINDINGS.log
    exit 1
fi
echo new >$out/FINDINGS.pdf
"""

# Installs whatever is asked for, that is: the stubs that stand ready in `shelf`.
APT_GET = """#!/bin/sh
echo "apt-get begins" >>calls.txt
case "$*" in
*latexmk*) cp shelf/* bin ;;
*-venv*) touch has-venv ;;
esac
sleep 0.1
echo "apt-get ends" >>calls.txt
"""


class Project:
    """A folder with the real Makefile and set-up, and stubs for everything they call."""

    def __init__(self, root: Path):
        self.root = root
        self.write("venv-python", VENV_PYTHON)
        self.write("bin/python3", PYTHON)
        for name, text in {"latexmk": LATEXMK, "pdflatex": "", "kpsewhich": "#!/bin/sh"}.items():
            self.write(f"bin/{name}", text)
        self.become(1000)
        for tool in TOOLS.split():
            (root / "bin" / tool).symlink_to(shutil.which(tool))
        for name in ("Makefile", "common/build/setup.sh"):
            self.write(name, (REPOSITORY / name).read_text())
        self.write("requirements.txt", "torch==2\n")
        self.write("common/build/constraints.txt", "# why\n\nsix==1\n")
        self.write(".venv/bin/python", VENV_PYTHON)
        self.write(".venv/requirements.txt", "torch==2\n# why\n\nsix==1\n")
        for name, modules in (NOTEBOOKS | {ROBUSTNESS: "common/data.py"}).items():
            self.write(f"{name}.ipynb", modules)
        for name in ("data", "plots/style", "geometry", "build/readme"):
            self.write(f"common/{name}.py", "")
        self.write("README.md", "")
        self.write("FINDINGS.tex", "")
        self.write("FINDINGS.pdf", "old")

    def write(self, name: str, text: str, age: float = 100) -> None:
        """Write an executable file whose time lies `age` seconds back."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        then = time.time() - age
        os.utime(path, (then, then))

    def become(self, uid: int) -> None:
        """Let `id -u` answer with this user."""
        self.write("bin/id", f"#!/bin/sh\necho {uid}")

    def hide_tex(self) -> None:
        (self.root / "shelf").mkdir()
        for name in ("latexmk", "pdflatex", "kpsewhich"):
            (self.root / "bin" / name).rename(self.root / "shelf" / name)

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        # A clean environment: a `make test` above must not pass its flags down.
        environment = {"PATH": str(self.root / "bin"), "LC_ALL": "C"} | variables
        return subprocess.run(
            [MAKE, *arguments], cwd=self.root, env=environment, capture_output=True, text=True
        )

    def calls(self) -> list[str]:
        """What was called since the last look, in order."""
        path = self.root / "calls.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def refreshes(self) -> int:
        """How often README.md was refreshed since the last look."""
        path = self.root / "README.md"
        count = len(path.read_text().splitlines())
        self.write("README.md", "")
        return count

    def runs(self) -> list[str]:
        """The notebooks that ran since the last look, without their folders."""
        names = [line.split()[1] for line in self.calls() if line.startswith("run ")]
        return sorted(Path(name).stem for name in names)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


# --- targets -------------------------------------------------------------------------------------


def test_help_is_the_default_and_lists_every_target(project):
    shown = project.make().stdout
    assert shown == project.make("help").stdout
    listed = set(re.findall(r"^  (\S+) +\S", shown, re.MULTILINE))
    targets = (
        "help figures findings.pdf robustness reproduce check test mutants proofs lab html bench"
    )
    targets += " check-html constraints clean"
    assert listed == {*targets.split(), "01_first", "02_second"}
    assert project.calls() == []


def test_second_run_does_nothing(project):
    project.make("figures")
    assert project.runs() == ["one", "three", "two"]
    assert "Nothing to be done" in project.make("figures").stdout
    assert project.calls() == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("common/data.py", ["one", "two"]),
        ("common/plots/style.py", ["one"]),
        ("common/geometry.py", ["three"]),
        ("common/build/setup.sh", []),
        ("02_second/three.ipynb", ["three"]),
        ("requirements.txt", ["one", "three", "two"]),
        ("common/build/constraints.txt", ["one", "three", "two"]),
    ],
)
def test_a_change_reruns_what_depends_on_it(project, changed, expected):
    project.make("figures")
    project.calls()
    os.utime(project.root / changed)
    project.make("figures")
    assert project.runs() == expected


def test_a_deleted_module_reruns_its_importers_and_stops_nothing(project):
    project.make("figures")
    project.calls()
    (project.root / "common/plots/style.py").unlink()
    assert project.make("figures").returncode == 0
    assert project.runs() == ["one"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("01_first", ["one", "two"]),
        ("01_first/", ["one", "two"]),
        ("02_second", ["three"]),
    ],
)
def test_a_section_runs_its_own_notebooks(project, target, expected):
    assert project.make(target).returncode == 0
    assert project.runs() == expected


def test_quick_runs_are_kept_apart(project):
    project.make("figures")
    project.calls()
    project.make("findings.pdf", "QUICK=1")
    calls = project.calls()
    assert [line for line in calls if line.startswith("latexmk")] == ["latexmk build/quick:"]
    assert len(calls) == 2 * len(NOTEBOOKS) + 1
    assert (project.root / "build/quick/FINDINGS.pdf").read_text() == "new\n"
    assert (project.root / "FINDINGS.pdf").read_text() == "old"
    project.make("findings.pdf", "QUICK=1")
    assert project.calls() == []


def test_parallel_make_runs_each_notebook_once(project):
    assert project.make("-j3", "figures").returncode == 0
    paths = [f"{name}.ipynb" for name in NOTEBOOKS]
    assert sorted(project.calls()) == sorted(
        f"{w} {path}" for w in ("run", "end") for path in paths
    )


def test_failing_notebook_ends_make(project):
    project.write(".venv/bin/python", "#!/bin/sh\nexit 1")
    assert project.make("figures").returncode != 0


def test_readme_is_refreshed_after_the_notebooks_and_when_it_was_edited(project):
    project.make("figures")
    assert project.refreshes() == 1
    project.make("figures")
    assert project.refreshes() == 0
    os.utime(project.root / "README.md")
    project.make("figures")
    assert project.refreshes() == 1
    assert project.runs() == ["one", "three", "two"]  # once, the first time


def test_tests_and_lab_and_benchmarks_and_pages(project):
    check = ["-m ruff check .", "-m ruff format --check .", "-m pytest -m not slow"]
    project.make("check")
    assert project.calls() == check
    project.make("test")
    assert project.calls() == [*check, "-m pytest -m slow"]
    project.make("lab")
    project.make("bench")
    project.make("reproduce")
    calls = ["-m jupyterlab", "-m pytest tests/benchmarks", "-m common.build.reproduce"]
    assert project.calls() == calls
    project.make("html")
    assert project.calls() == ["-m common.build.pages"]


CHECK_HTML = ["-m common.build.pages", "-m pytest tests/browser"]
PLAYWRIGHT = "-m pip install --disable-pip-version-check -q -r tests/browser/requirements.txt"
PLAYWRIGHT += " -c common/build/constraints.txt"


@pytest.mark.parametrize("root", [True, False])
def test_pages_are_checked_in_a_browser_that_is_there_or_installed(project, root):
    project.make("check-html")
    assert project.calls() == CHECK_HTML
    project.become(0 if root else 1000)
    project.write("bin/apt-get", APT_GET)
    installed = "apt-get ends" if root else "playwright install chromium"
    assert project.make("check-html", NO_BROWSER=installed).returncode == 0
    calls = project.calls()
    assert [calls[0], calls[-1]] == CHECK_HTML
    assert calls[1] == PLAYWRIGHT and calls[-2].endswith(installed)


def test_without_a_browser_the_pages_are_made_and_advice_is_given(project):
    done = project.make("check-html", NO_BROWSER="never")
    assert done.returncode != 0
    assert project.calls() == [CHECK_HTML[0], PLAYWRIGHT, "-m playwright install chromium"]
    for words in ("Debian, Ubuntu", "Fedora", "macOS", "make test"):
        assert words in done.stderr


def test_clean_removes_only_what_was_built(project):
    def files():
        return {path for path in project.root.rglob("*") if path.name != "calls.txt"}

    before = files()
    project.make("findings.pdf")
    project.write("common/__pycache__/data.pyc", "")
    project.write(".pytest_cache/x", "")
    project.write("FINDINGS.aux", "")
    assert project.make("clean").returncode == 0
    assert files() == before


# --- the notebook with a target of its own ------------------------------------------------------


def test_robustness_runs_by_its_own_target_only(project):
    project.make("findings.pdf")
    assert "robustness" not in project.runs()
    project.refreshes()
    assert project.make("robustness").returncode == 0
    assert project.runs() == ["robustness"]
    assert project.refreshes() == 1
    project.make("robustness")
    assert project.runs() == []
    os.utime(project.root / "common/data.py")
    project.make("robustness")
    assert project.runs() == ["robustness"]


def test_quick_robustness_leaves_readme_alone(project):
    assert project.make("robustness", "QUICK=1").returncode == 0
    assert project.runs() == ["robustness"]
    assert (project.root / "build/quick/stamps/02_second/robustness.done").exists()
    assert project.refreshes() == 0


@pytest.mark.parametrize("folder", ["", "build/quick/"])
def test_its_results_feed_the_paper_and_readme(project, folder):
    quick = "QUICK=1" if folder else "QUICK=0"
    results = f"{folder}02_second/results/robustness"
    for kind in ("tex", "json"):
        project.write(f"{results}.{kind}", "")
    project.make("findings.pdf", quick)
    project.calls(), project.refreshes()
    os.utime(project.root / f"{results}.tex")
    os.utime(project.root / f"{results}.json")
    project.make("findings.pdf", quick)
    assert [line.split()[0] for line in project.calls()] == ["latexmk"]
    assert project.refreshes() == (0 if folder else 1)
    project.make("findings.pdf", quick)
    assert project.calls() == []


def test_the_paper_waits_for_it_when_both_are_asked_for(project):
    project.make("figures")
    project.calls()
    assert project.make("-j4", "findings.pdf", "robustness").returncode == 0
    run, end, latexmk = project.calls()
    assert (run, end) == (f"run {ROBUSTNESS}.ipynb", f"end {ROBUSTNESS}.ipynb")
    assert latexmk.startswith("latexmk")


# --- the paper -----------------------------------------------------------------------------------


def test_the_paper_is_made_once(project):
    assert project.make("-j2", "findings.pdf").returncode == 0
    assert project.calls()[-1].startswith("latexmk")
    assert (project.root / "FINDINGS.pdf").read_text() == "new\n"
    assert project.make("findings.pdf").returncode == 0
    assert project.calls() == []
    os.utime(project.root / "FINDINGS.tex")
    project.make("findings.pdf")
    assert project.calls() == ["latexmk "]


def test_latex_error_is_shown_and_leaves_the_paper(project):
    done = project.make("findings.pdf", BAD_TEX="1")
    assert done.returncode != 0
    assert "FINDINGS.tex:3: Undefined control sequence" in done.stderr
    assert "build/latex/FINDINGS.log" in done.stderr
    assert (project.root / "FINDINGS.pdf").read_text() == "old"


@pytest.mark.parametrize("goal", ["findings.pdf", "FINDINGS.pdf"])
def test_without_tex_make_stops_before_any_set_up_or_computation(project, goal):
    project.hide_tex()
    shutil.rmtree(project.root / ".venv")
    done = project.make("-j2", goal)
    assert done.returncode != 0
    assert project.calls() == []
    assert "Missing here: latexmk pdflatex kpsewhich" in done.stderr
    for words in ("Debian, Ubuntu", "Fedora", "macOS", "make figures", "needs no TeX"):
        assert words in done.stderr


def test_one_missing_package_is_named(project):
    project.write("bin/kpsewhich", '#!/bin/sh\n[ "$1" != natbib.sty ]')
    assert "Missing here: natbib.sty \n" in project.make("findings.pdf").stderr
    assert project.calls() == []


def test_every_package_of_the_paper_is_looked_for():
    paper = (REPOSITORY / "FINDINGS.tex").read_text()
    setup = (REPOSITORY / "common/build/setup.sh").read_text()
    probed = re.search(r'TEX_FILES="([^"]*)"', setup)[1].split()
    loaded = re.findall(r"^\\usepackage(?:\[.*?\])?\{(.*?)\}", paper, re.MULTILINE)
    packages = {f"{name}.sty" for names in loaded for name in names.split(",")}
    assert len(packages) > 10
    assert packages - set(probed) == set()


def test_figures_need_no_tex(project):
    project.hide_tex()
    assert project.make("figures").returncode == 0


def test_root_gets_tex_and_venv_from_apt_one_after_the_other(project):
    project.hide_tex()
    project.become(0)
    project.write("bin/apt-get", APT_GET)
    shutil.rmtree(project.root / ".venv")
    done = project.make("-j3", "findings.pdf", NO_VENV="1")
    assert done.returncode == 0, done.stderr
    calls = project.calls()
    # Two packages lists, each an update and an installation, and only then the rest.
    assert calls[:8] == ["apt-get begins", "apt-get ends"] * 4
    assert calls[8:10] == ["venv", "pip"]
    assert done.stdout.count("Installing with apt-get: ") == 2
    assert (project.root / "FINDINGS.pdf").read_text() == "new\n"


def test_sudo_without_a_password_is_enough(project):
    project.hide_tex()
    project.write("bin/apt-get", APT_GET)
    project.write("bin/sudo", '#!/bin/sh\nshift\nexec "$@"')
    project.write("bin/true", "#!/bin/sh")
    assert project.make("findings.pdf").returncode == 0


def test_sudo_that_asks_for_a_password_is_not_used(project):
    project.hide_tex()
    project.write("bin/apt-get", APT_GET)
    project.write("bin/sudo", "#!/bin/sh\nexit 1")
    done = project.make("findings.pdf")
    assert "Missing here" in done.stderr
    assert project.calls() == []


# --- Python --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.9", "3.10", "2.7"])
def test_too_old_a_python_is_refused_with_advice(project, version):
    shutil.rmtree(project.root / ".venv")
    done = project.make("figures", PYTHON_VERSION=version)
    assert done.returncode != 0
    assert f"Python 3.11 or newer is needed; found: python3 is {version}" in done.stderr
    for words in ("Debian, Ubuntu", "Fedora", "macOS"):
        assert words in done.stderr
    assert project.calls() == []


def test_no_python_at_all(project):
    shutil.rmtree(project.root / ".venv")
    (project.root / "bin/python3").unlink()
    assert "found: none" in project.make("figures").stderr


def test_a_newer_python_is_found_beside_an_old_one(project):
    shutil.rmtree(project.root / ".venv")
    (project.root / "bin/python3").rename(project.root / "bin/python3.12")
    project.write("bin/python3", "#!/bin/sh\necho 3.9")
    assert project.make("figures").returncode == 0


def test_python_can_be_named(project):
    shutil.rmtree(project.root / ".venv")
    (project.root / "bin/python3").rename(project.root / "mine")
    assert project.make("figures", "PYTHON=./mine").returncode == 0


def test_python_without_venv_is_refused_with_advice(project):
    shutil.rmtree(project.root / ".venv")
    done = project.make("figures", NO_VENV="1")
    assert done.returncode != 0
    assert "cannot make virtual environments" in done.stderr
    assert "sudo apt-get install python3.12-venv" in done.stderr
    assert project.calls() == []


def test_first_use_makes_the_environment_once(project):
    shutil.rmtree(project.root / ".venv")
    assert project.make("-j3", "figures").returncode == 0
    calls = project.calls()
    assert calls[:2] == ["venv", "pip"]
    assert calls.count("pip") == 1
    assert not (project.root / ".venv/unfinished").exists()


def test_same_requirements_with_a_new_time_need_no_network(project):
    os.utime(project.root / "requirements.txt")
    project.make("test", PIP_STATUS="1")
    assert "pip" not in project.calls()


@pytest.mark.parametrize("name", ["requirements.txt", "common/build/constraints.txt"])
def test_changed_pins_update_the_environment(project, name):
    project.write(name, "numpy==2", age=0)
    assert project.make("figures").returncode == 0
    assert project.calls()[0] == "pip"
    assert "numpy==2" in (project.root / ".venv/requirements.txt").read_text()
    project.make("figures")
    assert project.calls() == []


def test_constraints_are_what_pip_brought_along(project):
    frozen = [
        "Torch==2+cpu",
        "MarkupSafe==3.0.4",
        "mine @ git+https://example.org/mine",
        "a_b==2026.1.post1",
    ]
    project.write("frozen", "\n".join(frozen) + "\n")
    assert project.make("constraints").returncode == 0
    written = (project.root / "common/build/constraints.txt").read_text()
    assert written == "# why\n\na-b==2026.1.post1\nmarkupsafe==3.0.4\n"
    project.make("lab")
    assert project.calls() == ["-m jupyterlab"]  # and no pip: that is what is installed


def test_the_constraints_pin_exactly_and_leave_direct_dependencies_alone():
    def pinned(name):
        lines = (REPOSITORY / name).read_text().splitlines()
        return [line.split()[0].split("==") for line in lines if line and line[0] != "#"]

    direct = dict(pinned("requirements.txt"))
    brought = dict(pinned("common/build/constraints.txt"))
    assert len(brought) > 50
    assert not direct.keys() & brought.keys()
    assert not any(set("+@/ ") & set(version) for version in [*direct.values(), *brought.values()])


def test_what_is_installed_also_suits_the_oldest_python():
    """Debian 12 has 3.11.2, and pip takes the newest release that the Python at hand can use."""
    needed = {d.name: d.metadata["Requires-Python"] or "" for d in metadata.distributions()}
    assert [name for name, pythons in needed.items() if "3.11.0" not in SpecifierSet(pythons)] == []


def test_intel_macs_are_told_before_pip_fails(project):
    shutil.rmtree(project.root / ".venv")
    done = project.make("figures", PLATFORM="Darwin x86_64")
    assert done.returncode != 0
    assert "PyTorch has no packages for Intel Macs any more" in done.stderr
    assert "pip" not in project.calls()


def test_failing_pip_stops_and_is_tried_again(project):
    project.write("requirements.txt", "nonsense\n", age=0)
    done = project.make("figures", PIP_STATUS="1")
    assert done.returncode != 0
    assert "pip could not install requirements.txt" in done.stderr
    assert project.calls() == ["pip"]
    assert project.make("figures").returncode == 0
    assert project.calls()[0] == "pip"


@pytest.mark.parametrize("trace", ["unfinished", "no python", "old python"])
def test_half_made_environment_is_made_anew(project, trace):
    (project.root / ".venv/requirements.txt").unlink()
    if trace == "unfinished":
        project.write(".venv/unfinished", "")
    elif trace == "no python":
        (project.root / ".venv/bin/python").unlink()
    else:
        project.write(".venv/bin/python", "#!/bin/sh\necho 3.9")
    assert project.make("figures").returncode == 0
    assert project.calls()[:2] == ["venv", "pip"]


def test_environment_made_by_hand_is_completed_not_thrown_away(project):
    (project.root / ".venv/requirements.txt").unlink()
    assert project.make("figures").returncode == 0
    assert project.calls()[0] == "pip"


def test_unknown_set_up_step_is_refused(project):
    done = subprocess.run(
        ["sh", "common/build/setup.sh", "ruby"], cwd=project.root, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "python | tex | browser | constraints, not 'ruby'" in done.stderr
