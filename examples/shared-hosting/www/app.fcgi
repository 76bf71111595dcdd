#!/bin/sh
# Apache starts this; the socket on which it sends requests is descriptor 0.
cd "$(dirname "$0")/../app" || exit 1
exec "${VENV:-../venv}/bin/ssgi-gateway" serve hello:app
