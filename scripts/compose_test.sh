#!/bin/bash
# Builds and runs the containers of deploy/ with a real Docker daemon: tests/containers.
#
# Where no daemon answers, one is started for the time being, as root, with everything below .run/docker. Images come from
# a registry; where none is reached they are made of Debian's packages, by debootstrap, under the same names.
#
# IMAGES=debian   do not try a registry        SUITE   the Debian that images are made of (forky: nginx 1.30, Python 3.14)

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

SUITE=${SUITE:-forky}
docker=$RUN/docker
mkdir -p "$docker"

need docker docker.io

start_daemon() {
    command -v dockerd >/dev/null || need_servers dockerd=docker.io+iptables
    say "starting a Docker daemon of our own in $docker"
    # A short path: that of a unix socket has at most 107 bytes (unix(7)).
    sockets=$(mktemp -d /tmp/ssgi-docker.XXXXXX)
    export DOCKER_HOST=unix://$sockets/sock
    as_root dockerd --data-root "$docker/data" --exec-root "$sockets/exec" --pidfile "$sockets/pid" \
        -H "$DOCKER_HOST" >"$docker/dockerd.log" 2>&1 &
    trap stop_daemon EXIT
    for _ in $(seq 60); do
        docker info >/dev/null 2>&1 && return
        sleep 1
    done
    tail -n 20 "$docker/dockerd.log" >&2
    fail "the Docker daemon did not start; what it said is above"
}

stop_daemon() {
    as_root kill "$(cat "$sockets/pid")"
    wait
    as_root rm -rf "$sockets"
}

# root: a Debian of $SUITE, for images and for what this machine's own Debian has no version of that is new enough.
root() {
    debian_root "$SUITE" "$docker/$SUITE"
}

need_compose() {
    local version
    version=$(docker compose version --short 2>/dev/null || true)
    [ -z "$version" ] || [ "$(printf '%s\n2.20\n' "${version#v}" | sort -V | head -1)" != 2.20 ] || return 0
    export DOCKER_CONFIG=$docker/config
    local plugins=$DOCKER_CONFIG/cli-plugins root
    [ ! -e "$plugins/docker-buildx" ] || return 0
    say "taking Docker Compose 2 from $SUITE"
    root=$(root)
    mkdir -p "$plugins"
    logged "$docker/compose.log" as_root chroot "$root" sh -ec 'cd /tmp && apt-get update && apt-get download docker-compose docker-buildx'
    for package in "$root"/tmp/docker-*.deb; do
        dpkg -x "$package" "$docker/unpacked"
    done
    find "$docker/unpacked" -type f \( -name docker-compose -o -name docker-buildx \) -exec cp {} "$plugins" \;
}

# image NAME [COMMAND]: pulled, or made: from the Debian, with what COMMAND adds to it.
image() {
    local name=$1 file=${2:-}
    docker image inspect "$name" >/dev/null 2>&1 && return
    if [ "${IMAGES:-}" != debian ] && timeout 300 docker pull "$name" >"$docker/pull.log" 2>&1; then
        return
    fi
    IMAGES=debian # no registry for this one, none for the others
    say "making $name of Debian's packages"
    if ! docker image inspect "debian-$SUITE" >/dev/null 2>&1; then
        as_root tar -C "$(root)" -c . | docker import - "debian-$SUITE" >/dev/null
    fi
    printf 'FROM debian-%s\n%s\n' "$SUITE" "$file" |
        logged "$docker/image.log" docker build --tag "$name" -
}

need_venv "test"
docker info >/dev/null 2>&1 || start_daemon
need_compose
image python:3.14-slim 'CMD ["python3"]'
image nginx:stable "RUN apt-get update && apt-get install -y --no-install-recommends nginx-light \
    && groupadd --gid 101 nginx && useradd --no-create-home --gid 101 nginx && mkdir -p /etc/nginx/conf.d \
    && printf 'user nginx;\nevents {}\nerror_log /dev/stderr;\nhttp {\n include mime.types;\n access_log off;\n include conf.d/*.conf;\n}\n' >/etc/nginx/nginx.conf
CMD [\"nginx\", \"-g\", \"daemon off;\"]"
image redis:7-alpine 'RUN apt-get update && apt-get install -y --no-install-recommends redis-server'

export COMPOSE_BAKE=false # its builder panics without a buildx that fits it (Compose 2.40)
say "building, starting and asking the containers"
SSGI_CONTAINERS=1 "$VENV/bin/python" -m pytest -x tests/containers "$@"
