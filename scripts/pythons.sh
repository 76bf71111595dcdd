#!/bin/bash
# Tests what is compiled, and what differs from one Python to the next (tasks), under every other Python that is found:
# both builds of the core, the compiled codecs, and the builds against each other. Each Python has an environment of its
# own in .run/pythons, made once.
#
# With "some", as `make test` does, without the tests of single codecs: about a minute for each Python.
#
# PYTHONS        which ones (python3.11 and later in PATH and in ~/.pyenv/versions, but not that of .venv)
# TEST_WORKERS   how many pytest processes at once (2)

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

WORK=$RUN/pythons

# The version of a Python, with a "t" where it has no global lock; nothing for one that is too old or does not run.
version() {
    "$1" -c 'import sys, sysconfig as s
if sys.version_info >= (3, 11): print("%d.%d" % sys.version_info[:2] + "t" * bool(s.get_config_var("Py_GIL_DISABLED")))' 2>/dev/null || true
}

# One Python of each version but OURS, as "version path".
others() {
    local candidate found seen=" $(version "$VENV/bin/python") "
    for candidate in ${PYTHONS:-python3.14 python3.14t python3.13 python3.13t python3.12 python3.11 "$HOME"/.pyenv/versions/*/bin/python}; do
        command -v "$candidate" >/dev/null || continue
        found=$(version "$candidate")
        if [ -n "$found" ] && [[ $seen != *" $found "* ]]; then
            seen+="$found "
            echo "$found $(command -v "$candidate")"
        fi
    done
}

# need_environment VERSION PYTHON: an environment for the tests; 1, with a reason, where there can be none.
need_environment() {
    local venv=$WORK/$1 include
    [ ! -e "$venv/.installed" ] || return 0
    include=$("$2" -c 'import sysconfig as s; print(s.get_path("include"))')
    if [ ! -e "$include/Python.h" ] || ! "$2" -c 'import ensurepip, venv' 2>/dev/null; then
        say "Python $1 has no headers or no venv, so it was not tested"
        return 1
    fi
    say "making an environment for Python $1"
    rm -rf "$venv"
    "$2" -m venv "$venv"
    # What has no wheel of its newest release for this Python is taken older: hypothesis would be compiled by Rust.
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --prefer-binary \
        "cython>=3.1" "setuptools>=77.0.3" "flup>=1.0.3" "h11>=0.14" "hypothesis>=6.100" "pytest>=8" "pytest-xdist>=3.5" \
        "sioscgi>=5,<6" "wsproto>=1.2" >"$RUN/pythons-$1.log" 2>&1; then
        say "what the tests need cannot be installed for Python $1, so it was not tested ($RUN/pythons-$1.log)"
        return 1
    fi
    touch "$venv/.installed"
}

# In a copy, with a build of its own that is not optimized: it is to be quick to make and not to run. What Cython has
# translated for the build of .venv is the same C for all.
need_copy() {
    mkdir -p "$WORK/tree/build"
    rm -rf "$WORK/tree"/{ssgi_gateway,tests,fuzz,examples,deploy,build/mirror}
    cp -a setup.py pyproject.toml ssgi_gateway tests fuzz examples deploy "$WORK/tree"
    [ ! -d build/mirror ] || cp -a build/mirror "$WORK/tree/build"
    rm -f "$WORK/tree"/ssgi_gateway/_compiled/*.so
}

test_with() {
    local python=$WORK/$1/bin/python
    cd "$WORK/tree"
    export PYTHONPATH=$WORK/tree PYTHONDONTWRITEBYTECODE=1
    SSGI_GATEWAY_COMPILED=1 SSGI_GATEWAY_OPTIMIZE=-O0 logged "$RUN/pythons-$1.log" "$python" setup.py build_ext --inplace
    # Without it the tests of the compiled build would be skipped. A warning is an error: a free-threaded Python gives one
    # where it turns its lock on.
    "$python" -W error -c 'from ssgi_gateway import engine; engine.load("compiled")'
    say "pytest with Python $1"
    # The tests load all there is, and the compiled adapter of WSGI would turn the lock on for them.
    [[ $1 != *t ]] || export PYTHON_GIL=0
    # The sanitizers have a Python of their own to build for: that of .venv.
    SSGI_REQUIRE_COMPILED=1 "$python" -m pytest -q -p no:cacheprovider -n "${TEST_WORKERS:-2}" \
        "${FOLDERS[@]}" --ignore tests/equivalence/test_sanitizers.py -k "core or compiled or equivalence" -m "not nginx"
}

FOLDERS=(tests/unit/core tests/unit/wire tests/equivalence)
[ "${1:-}" != some ] || FOLDERS=(tests/unit/core tests/equivalence)
found=$(others)
if [ -z "$found" ]; then
    say "no other Python from 3.11 on was found, so none was tested"
    exit
fi
need_copy
while read -r name python; do
    if need_environment "$name" "$python"; then
        (test_with "$name")
    fi
done <<<"$found"
