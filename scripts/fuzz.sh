#!/bin/bash
# Fuzzes both builds of the codecs against each other, one target after the other, and says what to do with a finding.
#
# FUZZ_SECONDS   how long each (20)
# FUZZ_ENGINE    atheris, which sees coverage; loop, our own; auto for atheris where pip finds one for this Python
# Arguments: the targets (scgi uwsgi fastcgi websocket upgrade response).

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_venv test
export SSGI_CODEC=compiled
ENGINE=${FUZZ_ENGINE:-auto}

if [ "$ENGINE" != loop ] && [ "$SETUP" != skip ] && ! "$VENV/bin/python" -c 'import atheris' 2>/dev/null; then
    say "installing atheris with pip"
    logged "$RUN/atheris.log" "$VENV/bin/python" -m pip install --disable-pip-version-check --only-binary :all: atheris \
        >/dev/null 2>&1 || say "there is none for this Python, which .run/atheris.log tells"
fi

[ $# -gt 0 ] || set -- scgi uwsgi fastcgi websocket upgrade response
status=0
for target in "$@"; do
    say "fuzzing $target for ${FUZZ_SECONDS:-20} seconds"
    "$VENV/bin/python" -m fuzz "$target" --engine "$ENGINE" --seconds "${FUZZ_SECONDS:-20}" || status=1
done
exit "$status"
