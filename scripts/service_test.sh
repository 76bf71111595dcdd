#!/bin/bash
# Does what a user does on a bare machine, as root and for real: tests/services. It boots this machine once more in
# namespaces, with a systemd of its own; whatever is written there goes with it.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_servers nginx=nginx apache2=apache2 lighttpd=lighttpd+lighttpd-mod-openssl caddy=caddy haproxy=haproxy
need systemctl systemd
need curl curl
need nsenter util-linux
need_venv "test"
[ "$(id -u)" = 0 ] || fail "this takes root: namespaces with a file system, a network and a systemd of their own"
say "booting a copy of this machine for each test"
SSGI_SERVICES=1 exec "$VENV/bin/python" -m pytest tests/services "$@"
