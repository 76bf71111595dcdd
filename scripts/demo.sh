#!/bin/bash
# The demonstration: examples/board behind nginx, on every route its page offers, at https://localhost:8443.
# Everything it makes is in .run/; it listens on this machine's own addresses only. Ctrl-C ends it.
#
# DEMO_PORT   another port
# DEMO_ONCE   end as soon as the page was answered with 200 (for tests)

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

port=${DEMO_PORT:-8443}
site=https://localhost:$port

need_nginx
need openssl openssl
need_venv demo
need_certificate "$RUN/certificate"

# A unix socket's path has at most 107 bytes (unix(7)), which a checkout deep down in somebody's home may exceed.
sockets=$RUN/sockets
[[ $sockets =~ ^[A-Za-z0-9/._-]{1,80}$ ]] || sockets=$(mktemp -d /tmp/ssgi-demo.XXXXXX)
nginx_dir=$RUN/nginx
mkdir -p "$sockets" "$nginx_dir"

# The configuration: deploy/nginx as it is shipped, with this folder's addresses and the board's locations.
write_configuration() {
    local types user="" http2="" listen ipv6=""
    types=$(nginx -V 2>&1 | sed -n 's/.*--conf-path=\([^ ]*\)nginx\.conf.*/\1mime.types/p')
    # As root, nginx would hand over to an account that may not read this folder.
    [ "$(id -u)" != 0 ] || user="user root;"
    # One of the two spellings of HTTP/2, whichever this nginx does not complain about (see deploy/nginx/example.conf).
    listen="ssl http2"
    if [ "$(printf '1.25.1\n%s\n' "$(nginx -v 2>&1 | sed 's/.*\///; s/ .*//')" | sort -V | head -n 1)" = 1.25.1 ]; then
        listen=ssl http2="http2 on;"
    fi
    # Browsers try ::1 first for localhost; where the machine has none, nginx could not listen on it.
    ! grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || ipv6="listen [::1]:$port $listen;"
    ln -sfn "$ROOT/deploy/nginx" "$nginx_dir/ssgi"
    sed "s|/run/ssgi-gateway|$sockets|" deploy/nginx/upstreams.conf >"$nginx_dir/upstreams.conf"
    cat >"$nginx_dir/nginx.conf" <<END
$user
daemon off;
pid nginx.pid;
error_log error.log;
events { worker_connections 1024; }
http {
    include ${types:-/etc/nginx/mime.types};
    access_log access.log;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;

    include ssgi/http.conf;
    include upstreams.conf;
    server {
        listen 127.0.0.1:$port $listen;
        $ipv6
        $http2
        server_name localhost;

        ssl_certificate "$RUN/certificate/cert.pem";
        ssl_certificate_key "$RUN/certificate/key.pem";
        include ssgi/tls.conf;
        include ssgi/errors.conf;
        include ssgi/tuning.conf;

        set \$board "$ROOT/examples/board";
        include "$ROOT/examples/board/nginx-locations.conf";
    }
}
END
}

gateway_pid=""
nginx_pid=""
stop() {
    trap - EXIT INT TERM HUP
    local pid
    for pid in $nginx_pid $gateway_pid; do # nginx first: with its connections gone the gateway has nothing to wait for
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [ "$sockets" = "$RUN/sockets" ] || rm -rf "$sockets"
}
trap stop EXIT
trap 'echo; exit 130' INT
trap 'exit 143' TERM HUP

# answers: the page came with 200. Python's own client, because curl may be missing.
answers() {
    "$VENV/bin/python" - "$site/" "$RUN/certificate/cert.pem" 2>/dev/null <<'END'
import ssl, sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=5, context=ssl.create_default_context(cafile=sys.argv[2]))
except OSError:
    sys.exit(1)
END
}

# alive NAME PID LOG: or fail, with what it said.
alive() {
    kill -0 "$2" 2>/dev/null || {
        tail -n 20 "$3" >&2
        fail "$1 ended before the page answered"
    }
}

write_configuration
: >"$RUN/gateway.log"
: >"$nginx_dir/output.log"

say "starting the gateway; its log is ${RUN#"$ROOT"/}/gateway.log"
"$VENV/bin/python" -m ssgi_gateway serve examples.board.app:app \
    --scgi "unix:$sockets/scgi.sock" --fastcgi "unix:$sockets/fastcgi.sock" --websocket "unix:$sockets/websocket.sock" \
    --websocket-origins same >"$RUN/gateway.log" 2>&1 &
gateway_pid=$!

say "starting $(nginx -v 2>&1 | sed 's/.*: //'); its logs are in ${RUN#"$ROOT"/}/nginx/"
nginx -p "$nginx_dir/" -c "$nginx_dir/nginx.conf" >"$nginx_dir/output.log" 2>&1 &
nginx_pid=$!

for _ in $(seq 150); do
    alive "the gateway" "$gateway_pid" "$RUN/gateway.log"
    alive "nginx (is port $port in use? DEMO_PORT=9443 make demo)" "$nginx_pid" "$nginx_dir/output.log"
    if answers; then
        ready=yes
        break
    fi
    sleep 0.2
done
[ -n "${ready:-}" ] || fail "$site did not answer; see $RUN/gateway.log and $RUN/nginx/error.log"

cat <<END

    $site

    This machine signed its certificate itself, so the browser will ask whether to trust it. Ctrl-C ends the demonstration.

END
[ -z "${DEMO_ONCE:-}" ] || exit 0

# Until Ctrl-C, or until one of the two ends by itself.
wait -n "$gateway_pid" "$nginx_pid" || true
tail -n 20 "$RUN/gateway.log" "$nginx_dir/output.log" >&2
fail "the gateway or nginx ended by itself"
