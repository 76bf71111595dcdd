#!/bin/bash
# The chat of examples/chat at http://localhost:8100, on two workers and without a web server. Ctrl-C ends it.
#
# CHAT_PORT      another port
# CHAT_WORKERS   how many workers (2)
# REDIS_URL      a Redis in place of the workers' own socket: then others may run on other machines

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

port=${CHAT_PORT:-8100}
need_venv demo
"$VENV/bin/python" -c 'import msgspec' 2>/dev/null || {
    [ "$SETUP" != skip ] || fail "missing: msgspec"
    say "installing msgspec with pip"
    logged "$RUN/pip.log" "$VENV/bin/python" -m pip install --disable-pip-version-check 'msgspec>=0.19' 'redis>=5'
}
mkdir -p "$RUN/chat"
export CHAT_PLAY=1
export CHAT_FILES=${CHAT_FILES:-$RUN/chat/files} CHAT_SOCKET=${CHAT_SOCKET:-$(mktemp -d /tmp/chat.XXXXXX)/hub.sock}
say "the chat is at http://localhost:$port (open it in two windows)"
exec "$VENV/bin/python" -m ssgi_gateway serve examples.chat.app:app --http "127.0.0.1:$port" --workers "${CHAT_WORKERS:-2}"
