#!/bin/bash
# Compiles the hot modules that have changed since the last time, in the virtual environment of `make test`.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_compiler
[ -e "$VENV/.installed-test" ] || need_venv test
say "compiling what has changed"
SSGI_GATEWAY_COMPILED=1 logged "$RUN/build.log" "$VENV/bin/python" setup.py build_ext --inplace
