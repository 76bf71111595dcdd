#!/bin/bash
# Sets up what the tests need, then runs the linter, the type checker and the tests. Arguments go to pytest.
#
# TEST_WORKERS   how many pytest processes at once (2)

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_nginx
need openssl openssl
need curl curl
need_compiler
need_venv test
need_browser

scripts/lint.sh
say "pytest"
exec "$VENV/bin/python" -m pytest -n "${TEST_WORKERS:-2}" "$@"
