#!/bin/bash
# The checks that need no server: ruff (rules and format) and mypy.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_venv test
say "ruff"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
say "mypy"
"$VENV/bin/mypy"
