#!/bin/bash
# Builds the Debian package of deploy/debian in dist/, for the Debian or Ubuntu that this machine runs, and tries it in a
# scratch root of its own: installed by apt, without a compiler, it has to serve an application.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

MIRROR=${MIRROR:-http://deb.debian.org/debian}
work=$RUN/deb
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

command -v dpkg-buildpackage >/dev/null || apt_install dpkg-dev
dpkg -s debhelper dh-python python3-dev python3-venv >/dev/null 2>&1 || apt_install debhelper dh-python python3-dev python3-venv
need cc gcc

say "building the package"
rm -rf "$work/source" && mkdir -p "$work/source" dist
git ls-files -z | xargs -0 cp --parents -t "$work/source"
mv "$work/source/deploy/debian" "$work/source/debian"
rm -f "$work"/*.deb
# Its own Python is Debian's, whatever this environment has.
(cd "$work/source" && PATH=/usr/bin:/bin:/usr/sbin:/sbin logged "$RUN/deb.log" dpkg-buildpackage --no-sign --build=binary)
package=$(ls "$work"/ssgi-gateway_*.deb)
cp "$package" dist/

command -v debootstrap >/dev/null || apt_install debootstrap
root=$work/$suite
if [ ! -e "$root.made" ]; then
    say "making a $suite with debootstrap, to try it in"
    as_root rm -rf "$root"
    logged "$RUN/debootstrap.log" as_root debootstrap --variant=minbase "$suite" "$root" "$MIRROR"
    as_root touch "$root.made"
fi
say "installing it there"
as_root cp "$package" "$root/root/"
as_root mkdir -p "$root/srv/shop"
printf 'def app(environ, start_response):\n    start_response("200 OK", [("Content-Type", "text/plain")])\n    return [b"installed\\n"]\n' |
    as_root tee "$root/srv/shop/site_app.py" >/dev/null
logged "$RUN/deb-install.log" as_root chroot "$root" sh -ec "
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install -y --no-install-recommends systemd '/root/$(basename "$package")'"
as_root chroot "$root" sh -ec '
    ! command -v cc
    ssgi-gateway --version | grep "^codecs: compiled$"
    cd /srv/shop
    ssgi-gateway serve site_app:app --scgi unix:/run/shop.sock 2>/root/log &
    server=$!
    for _ in $(seq 100); do [ -S /run/shop.sock ] && break; sleep 0.1; done
    ssgi-gateway call --scgi unix:/run/shop.sock / | grep "^installed$"
    kill $server
    wait $server
    systemd-analyze verify --recursive-errors=yes /usr/lib/systemd/system/ssgi-gateway@.socket 2>&1 | { ! grep ssgi; }
    apt-get purge -y ssgi-gateway >/dev/null
    ! command -v ssgi-gateway
    ! ls -d /usr/lib/python3/dist-packages/ssgi_gateway 2>/dev/null' || fail "the installed package does not work; see above"
say "in dist/:"
ls dist/*.deb
