#!/bin/bash
# The benchmarks: this project and its peers side by side, behind one nginx. benchmarks/README.md says what is measured.
# What they need is installed into benchmarks/.venv, which is theirs alone. Arguments go to `python -m benchmarks run`,
# except that "report" alone writes the page and the plots anew from the last run's data, and that "swill" and "client"
# measure only what their names say, which a run of everything does last.
#
# PYTHON   another Python: it gets an environment of its own, benchmarks/.venv-3.13, and its results a folder of their own.

VENV=$(cd "$(dirname "$0")/.." && pwd)/benchmarks/.venv

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

results=() # the folder, where it is not the usual one; what the arguments say comes later and has precedence
if [ -n "${PYTHON:-}" ]; then
    version=$("$(find_python)" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    VENV=$VENV-$version
    results=(--results "$ROOT/benchmarks/results/python$version")
fi

need_nginx
need wrk wrk
need cc gcc
# What socketify's binary is linked with; without it the others are measured.
ldconfig -p | grep -q 'libuv\.so\.1 ' || (apt_install libuv1) || true

if [ ! -x "$VENV/bin/python" ]; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        apt_install "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    # Python's headers, to compile uWSGI and this project.
    [ -e "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
        apt_install "$("$python" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')"
    say "making a virtual environment in ${VENV#"$ROOT"/} with $("$python" --version)"
    "$python" -m venv "$VENV"
fi

case ${1:-} in
report) exec "$VENV/bin/python" -m benchmarks report ${results[@]+"${results[@]}"} "${@:2}" ;;
esac
"$VENV/bin/python" -m benchmarks install
case ${1:-} in
swill | client)
    what=$1
    shift
    exec "$VENV/bin/python" -m "benchmarks.$what" "$@"
    ;;
esac
"$VENV/bin/python" -m benchmarks run ${results[@]+"${results[@]}"} "$@"
[ -z "${PYTHON:-}" ] || exit 0
[ $# -gt 0 ] || "$VENV/bin/python" -m benchmarks.swill
[ $# -gt 0 ] || exec "$VENV/bin/python" -m benchmarks.client
