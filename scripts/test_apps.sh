#!/bin/bash
# Published applications, served on every route and compared with uvicorn and gunicorn. They are installed into an
# environment of their own, .run/applications, which is kept. Arguments go to pytest.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

need_nginx
need openssl openssl
need_compiler
need_venv test
need_browser

APPS=$RUN/applications
if [ ! -x "$APPS/bin/python" ]; then
    say "making a virtual environment in ${APPS#"$ROOT"/}"
    "$("$VENV/bin/python" -c 'import sys; print(sys._base_executable)')" -m venv "$APPS"
fi
wanted=$(sha256sum tests/applications/requirements.txt pyproject.toml | sha256sum)
if [ "$(cat "$APPS/.installed" 2>/dev/null)" != "$wanted" ]; then
    say "installing the applications with pip"
    logged "$RUN/applications.log" "$APPS/bin/python" -m pip install --disable-pip-version-check \
        -r tests/applications/requirements.txt
    # The package itself is this tree, as it is built: its dependencies are all that is installed.
    SSGI_GATEWAY_PURE=1 logged "$RUN/applications.log" "$APPS/bin/python" -m pip install --disable-pip-version-check .
    "$APPS/bin/python" -m pip uninstall -q -y ssgi-gateway
    echo "$wanted" >"$APPS/.installed"
fi

say "pytest"
# Some applications bring plugins for pytest.
export SSGI_ALL_APPLICATIONS=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
exec "$APPS/bin/python" -m pytest tests/applications "$@"
