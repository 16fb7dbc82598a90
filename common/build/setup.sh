#!/bin/sh
# System set-up, called by the Makefile from the repository's root:
#   sh common/build/setup.sh python    finds a Python and makes .venv from requirements.txt
#   sh common/build/setup.sh tex       makes sure that FINDINGS.tex can be compiled
#   sh common/build/setup.sh browser   makes sure that make check-html has a browser
#   sh common/build/setup.sh constraints   pins in constraints.txt what .venv holds now
# The first three do nothing when everything is in place. Where something is missing they install it with
# apt-get if that needs no password, and otherwise stop and say what to install.
set -u

OLDEST=11 # of Python 3
CONSTRAINTS=common/build/constraints.txt # pins of what requirements.txt brings with it
PYTHONS="python3 python3.14 python3.13 python3.12 python3.11"
TEX_PACKAGES="latexmk texlive-latex-recommended texlive-fonts-recommended lmodern"
# Everything that FINDINGS.tex loads, then one file of each family of fonts.
TEX_FILES="article.cls amsmath.sty amssymb.sty array.sty booktabs.sty caption.sty flafter.sty fontenc.sty
geometry.sty graphicx.sty hyperref.sty longtable.sty mathpazo.sty microtype.sty natbib.sty
textcomp.sty xcolor.sty uplr8a.pfb fplmr.tfm ec-lmtt10.tfm"

stop() {
    printf '\n%s\n\n' "$1" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

apt_usable() {
    have apt-get && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
}

apt_install() {
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    echo "Installing with apt-get: $*"
    # The lock timeout waits for the automatic upgrades of a machine that has just been started.
    apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"
    $apt update && $apt install -y --no-install-recommends "$@" >/dev/null
}

# --- Python ------------------------------------------------------------------------------------

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

new_enough() {
    case "$1" in
    3.*) [ "${1#3.}" -ge "$OLDEST" ] ;;
    *) return 1 ;;
    esac
}

can_make_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

no_python() {
    stop "Python 3.$OLDEST or newer is needed; found: ${1:-none}.

  Debian, Ubuntu   sudo apt-get install python3 python3-venv
                   (an older release may offer python3.11 and python3.11-venv)
  Fedora           sudo dnf install python3
  macOS            brew install python

Another interpreter can be named: make PYTHON=/path/to/python3"
}

find_python() { # sets python and version
    seen=
    for python in ${PYTHON:-$PYTHONS}; do
        version=$(version_of "$python") || continue
        new_enough "$version" && return
        seen="${seen:+$seen, }$python is $version"
    done
    no_python "$seen"
}

make_venv() {
    find_python
    if ! can_make_venv "$python" && apt_usable; then
        apt_install "python$version-venv"
    fi
    can_make_venv "$python" || stop "$python ($version) cannot make virtual environments.

  Debian, Ubuntu   sudo apt-get install python$version-venv
  elsewhere        install a Python that has the modules venv and ensurepip"
    echo "Making .venv with $python ($version)"
    "$python" -m venv --clear .venv || stop "$python could not make .venv; see above."
}

venv_usable() {
    new_enough "$(version_of .venv/bin/python)" && .venv/bin/python -m pip --version >/dev/null 2>&1
}

pins() {
    cat requirements.txt $CONSTRAINTS
}

refuse_intel_mac() {
    case "$(.venv/bin/python -c 'import platform; print(platform.system(), platform.machine())')" in
    "Darwin x86_64")
        stop "PyTorch has no packages for Intel Macs any more (the last one that had them is 2.2).

On a Mac with an Apple chip this is a Python built for Intel: name another one, make PYTHON=..." ;;
    esac
}

setup_python() {
    # Contents are compared, not times: a fresh clone has new times and the same requirements.
    if pins | cmp -s - .venv/requirements.txt && venv_usable; then
        touch .venv/requirements.txt # for make; a .venv that cannot be written to is fine too
        return 0
    fi
    # .venv/unfinished stands while pip works: where it is found, pip was killed half-way.
    if [ -e .venv/unfinished ] || ! venv_usable; then
        make_venv
    fi
    refuse_intel_mac
    echo "Installing requirements.txt into .venv; a first time downloads several hundred megabytes"
    rm -f .venv/requirements.txt
    touch .venv/unfinished
    if ! .venv/bin/python -m pip install --disable-pip-version-check \
        -r requirements.txt -c $CONSTRAINTS; then
        rm -f .venv/unfinished # pip stopped in good order and left what was there
        stop "pip could not install requirements.txt; its reason stands above.

If it has no package of some version for this Python, another version may do: delete its line in
$CONSTRAINTS and run make again."
    fi
    rm -f .venv/unfinished
    pins >.venv/requirements.txt # last: it says that .venv is complete
}

write_constraints() {
    direct=$(sed -n 's/^\([^# ][^ ]*\).*/\1/p' requirements.txt)
    {
        sed -n '/^#/p' $CONSTRAINTS
        echo
        # Names as pip compares them; no paths, and no local versions such as +cpu.
        .venv/bin/python -m pip freeze --exclude setuptools --exclude wheel \
            --exclude playwright --exclude pyee --exclude greenlet | tr 'A-Z_' 'a-z-' |
            sed -n 's/^\([a-z0-9.-]*==[a-z0-9.!]*\).*/\1/p' | grep -v -x -F -e "$direct" | LC_ALL=C sort
    } >$CONSTRAINTS.partial
    mv $CONSTRAINTS.partial $CONSTRAINTS
    pins >.venv/requirements.txt # nothing to install: that is where they come from
}

# --- TeX ---------------------------------------------------------------------------------------

missing_tex() {
    for program in latexmk pdflatex kpsewhich; do
        have "$program" || echo "$program"
    done
    have kpsewhich || return
    for file in $TEX_FILES; do
        kpsewhich "$file" >/dev/null || echo "$file"
    done
}

setup_tex() {
    [ -z "$(missing_tex)" ] && return
    if apt_usable; then
        apt_install $TEX_PACKAGES
        [ -z "$(missing_tex)" ] && return
    fi
    stop "The PDF needs LaTeX. Missing here: $(missing_tex | tr '\n' ' ')

  Debian, Ubuntu   sudo apt-get install $TEX_PACKAGES
  Fedora           sudo dnf install latexmk texlive-scheme-medium
  macOS            brew install --cask mactex-no-gui

Nothing was computed. make figures runs every notebook and needs no TeX."
}

# --- a browser ---------------------------------------------------------------------------------

# Only make check-html wants it, so it is not among everybody's requirements.
BROWSER_PINS=tests/browser/requirements.txt

browser_starts() {
    .venv/bin/python tests/browser/chromium.py 2>/dev/null
}

setup_browser() {
    browser_starts && return
    .venv/bin/python -m pip install --disable-pip-version-check -q -r $BROWSER_PINS \
        -c $CONSTRAINTS || stop "pip could not install $BROWSER_PINS; its reason stands above."
    browser_starts && return
    if apt_usable; then
        apt_install chromium
    else
        .venv/bin/python -m playwright install chromium # its own, into the user's cache
    fi
    browser_starts || stop "make check-html needs Chromium or Chrome.

  Debian, Ubuntu   sudo apt-get install chromium
  Fedora           sudo dnf install chromium
  macOS            brew install --cask google-chrome

The pages are made. make test checks of them what needs no browser."
}

case "${1:-}" in
python) setup_python ;;
tex) setup_tex ;;
browser) setup_browser ;;
constraints) write_constraints ;;
*) stop "usage: sh common/build/setup.sh python | tex | browser | constraints, not '${1:-}'" ;;
esac
