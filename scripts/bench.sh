#!/bin/bash
# The benchmarks: this project and its peers side by side, behind one nginx. benchmarks/README.md says what is measured.
# What they need is installed into benchmarks/.venv, which is theirs alone. Arguments go to `python -m benchmarks run`,
# except that "report" alone writes the page and the plots anew from the last run's data.

VENV=$(cd "$(dirname "$0")/.." && pwd)/benchmarks/.venv

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

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
    say "making a virtual environment in benchmarks/.venv with $("$python" --version)"
    "$python" -m venv "$VENV"
fi

if [ "${1:-}" = client ]; then
    shift
    "$VENV/bin/pip" install --quiet aiohttp httpx h2 hpack httptools jh2 niquests uvloop --editable .
    exec "$VENV/bin/python" -m benchmarks.client "$@"
fi
if [ "${1:-}" != report ]; then
    "$VENV/bin/python" -m benchmarks install
    set -- run "$@"
fi
exec "$VENV/bin/python" -m benchmarks "$@"
