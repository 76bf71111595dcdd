#!/bin/bash
# The campaign over processes: everything that changes while requests come, for some minutes. Arguments go to pytest.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_nginx
need_venv test
say "twenty reloads and what else may happen to a server, under load; ten thousand connections of Swill"
summary=$(mktemp)
trap 'rm -f "$summary"' EXIT
export SOAK=1 SOAK_SUMMARY=$summary
# shellcheck disable=SC2086  # several places
"$VENV/bin/python" -m pytest ${SOAK_TESTS:-tests/process tests/swill/test_crowds.py} "$@" || status=$?
[ -s "$summary" ] && cat "$summary"
[ -z "${status:-}" ] || fail "something was lost, or did not come: pytest says above what"
say "nothing was lost that need not be"
