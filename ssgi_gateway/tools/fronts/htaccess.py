"""Apache on a shared host: an ``.htaccess`` beside a script that mod_fcgid starts. See ``docs/shared-hosting.md``."""

from __future__ import annotations

import shlex

from .site import Site, comment, join

__all__ = ["SCRIPT", "render", "script"]


def render(site: Site) -> str:
    """The file; the script beside it is ``SCRIPT``."""
    return join(
        comment(
            "ssgi-gateway on a shared host: Apache with mod_fcgid and mod_rewrite. This is .htaccess; beside it, as\n"
            "app.fcgi, with mode 755 and Unix line ends:\n\n" + SCRIPT.format(app=site.app) + "\n"
            "Apache's own limits, which nothing here can change: uploads above FcgidMaxRequestLen (128 KiB unless the\n"
            "host raised it) are answered 500, paths with %2F are answered 404, event streams arrive at their end."
        ),
        "AddHandler fcgid-script .fcgi\nRewriteEngine On",
        "# Files that are there are Apache's.\nRewriteCond %{REQUEST_FILENAME} !-f",
        '# Where the host allows it, "CGIPassAuth On" is the better line for Authorization.\n'
        "RewriteRule ^(.*)$ app.fcgi/$1 [QSA,L,E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]",
    )


def script(site: Site) -> str:
    """The script beside it, for an application in ``site.folder``."""
    words = [site.program or f"{site.folder}/.venv/bin/ssgi-gateway", "serve", site.app]
    return (
        "#!/bin/sh\n# Apache starts this; the socket on which it sends requests is descriptor 0.\n"
        f"cd {shlex.quote(site.folder)} || exit 1\nexec {shlex.join(words)}\n"
    )


SCRIPT = """\
    #!/bin/sh
    # Apache starts this; the socket on which it sends requests is descriptor 0.
    cd "$(dirname "$0")/../app" || exit 1
    exec ../venv/bin/ssgi-gateway serve {app}
"""
