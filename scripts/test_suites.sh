#!/bin/bash
# Other projects' test suites over the gateway; writes docs/suites.md. What they need is installed into an environment of
# its own, .run/suites, which is kept. Arguments go to scripts/test_suites.py.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_nginx
need_compiler
need_venv test

SUITES=$RUN/suites
requirements=scripts/suites/requirements.txt
wanted=$(sha256sum "$requirements" pyproject.toml | sha256sum)
if [ "$(cat "$SUITES/.installed" 2>/dev/null)" != "$wanted" ]; then
    say "installing the suites into ${SUITES#"$ROOT"/} with pip"
    rm -rf "$SUITES"
    mkdir -p "$SUITES/sources"
    "$("$VENV/bin/python" -c 'import sys; print(sys._base_executable)')" -m venv "$SUITES/venv"
    pip=("$SUITES/venv/bin/python" -m pip --disable-pip-version-check)
    logged "$RUN/suites.log" "${pip[@]}" install -r "$requirements"
    # The package itself is this tree, as it is built: its dependencies are all that is installed.
    SSGI_GATEWAY_PURE=1 logged "$RUN/suites.log" "${pip[@]}" install .
    "${pip[@]}" uninstall -q -y ssgi-gateway
    for suite in $(sed -n 's/^\(starlette\|fastapi\|uvicorn\)==.*/&/p' "$requirements"); do
        logged "$RUN/suites.log" "${pip[@]}" download --no-deps --no-binary :all: --dest "$SUITES/sources" "$suite"
    done
    for archive in "$SUITES"/sources/*.tar.gz; do
        tar -xzf "$archive" -C "$SUITES/sources"
    done
    echo "$wanted" >"$SUITES/.installed"
fi

exec "$VENV/bin/python" scripts/test_suites.py --python "$SUITES/venv/bin/python" --sources "$SUITES/sources" "$@"
