# shellcheck shell=bash
# What the scripts share; sourced, not run. Each step that changes the machine is said in one line before it is done.
#
# VENV     the virtual environment (.venv)       SETUP=skip   assume that everything is installed already, as the tests
# PYTHON   the Python to make it with            RUN_DIR      where logs, certificates and the like go (.run)

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
VENV=${VENV:-$ROOT/.venv}
RUN=${RUN_DIR:-$ROOT/.run}
SETUP=${SETUP:-}
PATH=$PATH:/usr/sbin:/sbin # nginx is in /usr/sbin, which a user's PATH on Debian leaves out

say() { printf '==> %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# logged FILE COMMAND...: run quietly, and show what it said only if it fails.
logged() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 || {
        local status=$?
        cat "$log" >&2
        return "$status"
    }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo here: $*"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends "$@" >>"$RUN/apt.log" 2>&1
}

# apt_install PACKAGE...: without questions; apt's lists are updated only if they are missing or too old to install from.
apt_install() {
    [ "$SETUP" != skip ] || fail "missing: $*"
    command -v apt-get >/dev/null || fail "please install $* (these scripts know apt only) and try again"
    mkdir -p "$RUN"
    say "installing with apt: $*"
    if ! apt-get --simulate install "$@" >/dev/null 2>&1 || ! apt_get install "$@"; then
        say "updating apt's lists of packages"
        apt_get update || true # one broken source is no reason to give up; the installation tells
        apt_get install "$@" || {
            tail -n 20 "$RUN/apt.log" >&2
            fail "apt could not install $*; all that it said is in $RUN/apt.log"
        }
    fi
}

# need COMMAND PACKAGE
need() {
    command -v "$1" >/dev/null || apt_install "$2"
}

# Servers, as programs only. Their packages start them, now and at each boot, which nobody asked for here: policy-rc.d
# tells the packages' scripts not to (invoke-rc.d(8)), and the services are disabled after the installation.
#
# need_servers COMMAND=PACKAGE...: a package stands for those that follow it with a plus: apache2=apache2+libapache2-mod-x
need_servers() {
    local policy=/usr/sbin/policy-rc.d missing=() service
    for server in "$@"; do
        command -v "${server%%=*}" >/dev/null || missing+=("${server#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    # shellcheck disable=SC2086  # several packages
    set -- ${missing[*]//+/ }
    if [ -e "$policy" ]; then
        apt_install "$@"
    else
        say "keeping apt from starting them as services (a $policy for as long as the installation takes)"
        as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
        # A subshell, so that the file goes whatever happens.
        (trap 'as_root rm -f "$policy"' EXIT && apt_install "$@")
    fi
    if command -v systemctl >/dev/null; then
        for service in "$@"; do
            as_root systemctl disable "$service" >/dev/null 2>&1 || true
        done
    fi
}

need_nginx() {
    need_servers nginx=nginx
}

# Prints the first Python that is new enough.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or later is needed and was not found:
    apt-get install python3 python3-venv    (Debian 12, Ubuntu 24.04 and later)
or name one: PYTHON=/path/to/python3.12 make ..."
}

# debian_root SUITE FOLDER: a Debian with Python in FOLDER, made by debootstrap unless it is there; prints FOLDER.
debian_root() {
    local suite=$1 root=$2
    if [ ! -e "$root.made" ]; then
        command -v debootstrap >/dev/null || apt_install debootstrap >&2
        say "making a $suite with debootstrap (a minute or two)" >&2
        as_root rm -rf "$root"
        mkdir -p "$(dirname "$root")"
        local script=/usr/share/debootstrap/scripts/$suite # unknown to an older debootstrap; all later ones are like sid
        logged "$RUN/debootstrap.log" as_root debootstrap --variant=minbase \
            --include=ca-certificates,openssl,python3,python3-dev,python3-pip,python3-venv \
            "$suite" "$root" "${MIRROR:-http://deb.debian.org/debian}" "$([ -e "$script" ] && echo "$script" || echo sid)"
        # What this machine trusts, so that pip and apt work behind a proxy with an authority of its own.
        as_root cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
        as_root rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
        as_root ln -sf python3 "$root/usr/bin/python"
        # Pages of a mirror may be older than their own date of expiry says they should be.
        echo 'Acquire::Check-Valid-Until "false";' | as_root tee "$root/etc/apt/apt.conf.d/50mirror" >/dev/null
        as_root touch "$root.made"
    fi
    echo "$root"
}

# What the installation is made from: the sources too, because some are compiled where there is a compiler.
fingerprint() {
    find pyproject.toml setup.py ssgi_gateway -type f \( -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.ld' -o -name '*.toml' \) \
        -not -path '*/__pycache__/*' | LC_ALL=C sort | xargs sha256sum | sha256sum
}

# need_venv demo|test: the environment with this package and what the purpose needs. A stamp in it says from which sources
# it was made. The demonstration does not wait for a compiler; the tests want the compiled build, and what they have made
# serves the demonstration as well.
need_venv() {
    [ "$SETUP" != skip ] || return 0
    local purpose=$1 extras=uvloop pure=1 python wanted
    [ ! -e "$VENV/.installed-test" ] || purpose="test"
    [ "$purpose" = demo ] || { extras=uvloop,test,test-apps,dev && pure=; }
    if [ ! -x "$VENV/bin/python" ]; then
        python=$(find_python)
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            # Debian keeps these modules in a package of their own, one for each version.
            apt_install "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        fi
        say "making a virtual environment in ${VENV#"$ROOT"/} with $("$python" --version)"
        "$python" -m venv "$VENV"
    fi
    wanted=$(fingerprint)
    if [ "$(cat "$VENV/.installed-$purpose" 2>/dev/null)" != "$wanted" ]; then
        say "installing ssgi-gateway[$extras] into it with pip"
        SSGI_GATEWAY_PURE=$pure logged "$RUN/pip.log" \
            "$VENV/bin/python" -m pip install --disable-pip-version-check --editable ".[$extras]"
        echo "$wanted" >"$VENV/.installed-$purpose"
    fi
}

# What compiles the codecs, so that the tests see both builds. Without it the package installs the portable one.
need_compiler() {
    command -v cc >/dev/null || apt_install gcc libc6-dev
    # Debian keeps the headers of its Python in a package of their own; the Python is the one that the environment has.
    local python=$VENV/bin/python
    [ -x "$python" ] || python=$(find_python)
    if ! "$python" -c 'import os, sys, sysconfig as s; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))'; then
        apt_install "$("$python" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')"
    fi
}

# need_certificate DIRECTORY: cert.pem and key.pem for localhost, signed by nobody else.
need_certificate() {
    local days=30
    if [ -s "$1/key.pem" ] && openssl x509 -checkend 86400 -noout -in "$1/cert.pem" >/dev/null 2>&1; then
        return
    fi
    say "making a certificate for localhost, good for $days days"
    mkdir -p "$1"
    (umask 077 && logged "$RUN/openssl.log" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -days "$days" -subj /CN=localhost -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' \
        -addext 'basicConstraints=critical,CA:FALSE' -keyout "$1/key.pem" -out "$1/cert.pem")
}

# A Chromium for the tests of the page, $CHROMIUM if it is set. Debian packages it; Ubuntu's package is only a pointer to a
# snap, so there Playwright brings its own.
need_browser() {
    local found
    found=${CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}
    if [ -n "$found" ]; then
        export CHROMIUM=$found
    elif [ "$(. /etc/os-release 2>/dev/null && echo "${ID:-}")" = debian ]; then
        apt_install chromium
    elif [ "$SETUP" != skip ] && [ ! -e "$VENV/.installed-chromium" ]; then
        say "installing Chromium and the libraries it needs, with Playwright"
        logged "$RUN/playwright.log" "$VENV/bin/python" -m playwright install --with-deps chromium ||
            fail "Playwright could not install Chromium; with one that is here already: CHROMIUM=/path/to/it make test"
        touch "$VENV/.installed-chromium"
    fi
}
