#!/bin/bash
# The Autobahn test suite against the gateway: in-band through nginx, and on the direct port. Writes docs/autobahn.md.
#
# The suite is a program for Python 2.7, which distributions have given up and pyenv still builds. It gets an environment
# of its own in .run/autobahn, made by the last virtualenv that knows Python 2.
#
# PYTHON27   the interpreter, if it is neither on the PATH nor in ~/.pyenv

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Prints the first Python that says 2.7. A name is not enough: pyenv puts names of Pythons it has not activated on the PATH.
find_python27() {
    local candidate
    for candidate in ${PYTHON27:-} python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7; do
        if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 2.7 ]; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "the Autobahn test suite needs a Python 2.7: pyenv install 2.7.18, or PYTHON27=/path/to/python2.7 make autobahn"
}

suite=$RUN/autobahn
requirements=tests/autobahn/requirements-py27.txt

need_suite() {
    cmp -s "$requirements" "$suite/installed" && return
    local python27
    python27=$(find_python27)
    say "installing the Autobahn test suite into .run/autobahn, for $python27"
    rm -rf "$suite"
    mkdir -p "$suite"
    "$VENV/bin/python" -m venv "$suite/maker"
    logged "$suite/maker.log" "$suite/maker/bin/pip" install --disable-pip-version-check virtualenv==20.21.1
    logged "$suite/virtualenv.log" "$suite/maker/bin/virtualenv" -p "$python27" "$suite/python27"
    logged "$suite/pip.log" "$suite/python27/bin/pip" install -r "$requirements"
    cp "$requirements" "$suite/installed"
}

need_nginx
need_venv test
need_suite
exec "$VENV/bin/python" scripts/autobahn.py --wstest "$suite/python27/bin/wstest" --reports "$suite/reports" "$@"
