#!/bin/bash
# Sets up what the tests need, then runs the linter, the type checker and the tests; without arguments, some of them under
# other Pythons as well. Arguments go to pytest.
#
# TEST_WORKERS   how many pytest processes at once (2)

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_servers nginx=nginx apache2=apache2+libapache2-mod-fcgid lighttpd=lighttpd+lighttpd-mod-openssl caddy=caddy \
    haproxy=haproxy redis-server=redis-server nats-server=nats-server nghttpd=nghttp2-server php-fpm8.2=php-fpm \
    prometheus=prometheus
need openssl openssl
need strace strace
need faketime faketime
need npm npm
need curl curl
need wrk wrk
need systemd-analyze systemd
need uwsgi uwsgi-core
need spawn-fcgi spawn-fcgi
need_compiler
# Both builds are to be tested: one that does not compile is an error here, and no reason to skip half of the tests.
SSGI_GATEWAY_COMPILED=1 need_venv test
# Likewise the servers: a test that finds one missing fails, where it is skipped when tests are run by hand.
[ "$SETUP" = skip ] || export SSGI_REQUIRE_COMPILED=1 SSGI_REQUIRE_SERVERS=1
need_browser

scripts/lint.sh
[ $# -gt 0 ] || [ "$SETUP" = skip ] || scripts/pythons.sh some
say "pytest"
exec "$VENV/bin/python" -m pytest -n "${TEST_WORKERS:-2}" "$@"
