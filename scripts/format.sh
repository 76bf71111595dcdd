#!/bin/bash
# Lets ruff put the code into shape.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_venv test
"$VENV/bin/ruff" check --fix .
"$VENV/bin/ruff" format .
