"""``ssgi-gateway init``: asks a few questions and writes what a site needs: settings, web server, service.

It looks first: which web server is installed, what the application may be. Every question has an answer that Enter
takes, and an option that makes it unasked. Files are shown before they are written, and none replaces one that says
something else.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ssgi_gateway.cli.arguments import parser, read
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address
from ssgi_gateway.settings import Settings

from .config import VERSIONS, add_options, configuration, front_named, gateway_settings, site_for, write_all
from .fronts import FRONTS, KINDS, Site, htaccess, systemd
from .fronts.site import FOLDER

__all__ = ["guess_application", "main", "next_commands", "settings_file"]

FILES: Final = {"caddy": "Caddyfile", "haproxy": "haproxy.cfg"}

Ask = Callable[[str, str], str]

USUAL: Final = ("main.py", "app.py", "wsgi.py", "asgi.py", "application.py", "server.py")
"""Where applications mostly are."""


def main(words: list[str]) -> int:
    """``ssgi-gateway init``; ``words`` are the arguments behind it."""
    made = parser("ssgi-gateway init", "Ask a few questions, and write settings, web server and service for a site.")
    made.add_argument("app", metavar="APP", nargs="?", default="", help="The application, module:attribute.")
    made.add_argument("--front", default="", help=f"The web server: {', '.join(FRONTS)}.")
    made.add_argument("--yes", action="store_true", help="Ask nothing.")
    made.add_argument("--folder", metavar="DIR", default=".", help="Where to write. [.]")
    add_options(made)
    given = read(made, words)
    ask = _silent if given.yes else _ask
    _answer(given, ask)
    site = _site(given, gateway_settings(given.config))
    if given.front == "htaccess":
        return _shared_host(site, Path(given.folder), ask)
    texts = {
        "ssgi-gateway.toml": settings_file(site, given.front),
        FILES.get(given.front, f"{site.name}.{given.front}.conf"): configuration(given.front, site),
        **systemd.files(site),
    }
    folder = Path(given.folder)
    if not _written(folder, texts, ask):
        return 1
    _, front, unit = (folder / name for name in texts)
    print("\nWritten. The next two commands:\n")
    for command in next_commands(given, site, unit, front):
        print(f"  {command}")
    if site.tls and given.front != "caddy" and not os.path.exists(site.tls[0]):
        print(
            f"\nThe second one needs a certificate first, such as: sudo certbot certonly --standalone -d {site.domain}"
        )
    for remark in remarks(site):
        print(f"\n{remark}")
    print(f"\nThen {site.origin}{site.mount}/ is there; if it is not: ssgi-gateway doctor")
    return 0


def remarks(site: Site) -> Iterator[str]:
    """What would keep the web server from the files that it is to serve."""
    from .doctor.sockets import closed_folders

    web = [user for user in pwd.getpwall() if user.pw_name == site.group]
    for url, folder in site.static:
        if not os.path.isdir(folder):
            yield f"There is no folder {folder} yet; {url} is answered 404 until there is."
            continue
        for closed, mode in closed_folders(folder, web):
            yield (
                f"{site.group} may not look into {closed} (mode {mode:o}), so {url} is answered 403: chmod o+x {closed}"
            )


def _written(folder: Path, texts: dict[str, str], ask: Ask) -> bool:
    """Show the files, and write them if that is wanted."""
    for name, text in texts.items():
        print(f"\n--- {folder / name}\n{text}", end="")
    if ask("\nWrite these files? (yes/no)", "yes").lower() not in ("yes", "y"):
        print("Nothing was written.")
        return False
    write_all(folder, texts)
    return True


def _shared_host(site: Site, folder: Path, ask: Ask) -> int:
    """There the web server starts the application: it needs a script in place of a service, and no sockets."""
    if not _written(folder, {".htaccess": htaccess.render(site), "app.fcgi": htaccess.script(site)}, ask):
        return 1
    (folder / "app.fcgi").chmod(0o755)
    files = shlex.join(str(folder / name) for name in (".htaccess", "app.fcgi"))
    print("\nWritten. The next two commands, with the folder that Apache serves:\n")
    print(f"  cp -p {files} ~/public_html/")
    print("  ssgi-gateway doctor --script ~/public_html/app.fcgi")
    return 0


def _site(given: argparse.Namespace, settings: Settings) -> Site:
    """The site, with a service of its own name and its sockets in a folder of its own, unless settings have them."""
    site = site_for(given, settings)
    name = re.sub(r"[^A-Za-z0-9.-]", "", site.domain.replace("*", "wildcard")).strip(".-") or "site"
    own: list[Address] = [site.address, site.direct]
    if site.activated:
        own = [address._replace(path=address.path.replace(FOLDER, f"{FOLDER}/{name}", 1)) for address in own]
    return site._replace(name=name, activated=False, address=own[0], direct=own[1])


def _ask(question: str, usual: str) -> str:
    sys.stdout.write(f"{question} [{usual}] ")
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise ConfigurationError("the answers ended; --yes takes what is usual")
    return line.strip() or usual


def _silent(question: str, usual: str) -> str:
    return usual


def _answer(given: argparse.Namespace, ask: Ask) -> None:
    """Fill in what no option has set."""
    # mod_fcgid gives a process one request at a time: WSGI is called for it without an event loop.
    kinds = ("wsgi", "asgi") if given.front == "htaccess" else ("asgi", "wsgi")
    if not given.app:
        found = guess_application(Path.cwd(), kinds)
        if given.yes and not found:
            raise ConfigurationError("no application was found here; name it: ssgi-gateway init module:attribute --yes")
        given.app = ask("The application, module:attribute", found or "main:app")
    if not re.fullmatch(r"[\w.]+:[\w.]+(\(.*\))?", given.app):
        raise ConfigurationError(f"{given.app!r} is not module:attribute")
    given.front = given.front or ask(f"The web server ({', '.join(FRONTS)})", installed())
    front_named(given.front, FRONTS)
    if given.front == "htaccess":
        return  # names, certificates and files are the host's
    if given.domain == "example.org":
        given.domain = ask("The site's name", "example.org")
    if given.tls == "letsencrypt" and ask("TLS, with certificates of Let's Encrypt? (yes/no)", "yes").startswith("n"):
        given.tls = "off"
    if not given.static and given.front != "haproxy":
        folder = ask(
            "A folder of static files, for /static/ (- for none)", "static" if os.path.isdir("static") else "-"
        )
        given.static = [] if folder == "-" else [f"/static={folder}"]


def guess_application(folder: Path, kinds: Sequence[str] = ("asgi", "wsgi")) -> str:
    """What is probably the application of a folder: Django's, or an ``app`` in one of the usual files; empty for none.

    Args:
        folder: where to look.
        kinds: which of Django's two it should rather be.
    """
    if (folder / "manage.py").exists():
        for kind in kinds:
            for file in sorted(folder.glob(f"*/{kind}.py")):
                return f"{file.parent.name}.{kind}:application"
    # In the folder itself before packages in it: app/main.py is app.main, as FastAPI's own pages have it.
    for file in (*(folder / name for name in USUAL), *sorted(folder.glob("*/*.py"))):
        inside = file.parent != folder
        if file.exists() and (not inside or file.name in (*USUAL, "__init__.py")):
            found = _application_in(file.read_text(encoding="utf-8", errors="replace"))
            if found:
                module = file.parent.name if file.stem == "__init__" else f"{file.parent.name}.{file.stem}"
                return f"{module if inside else file.stem}:{found}"
    return ""


def _application_in(text: str) -> str:
    """The application of a module, or a factory that needs no arguments; empty when it seems to have none."""
    match = re.search(r"^(?:async )?(?:def )?(app|application)\b(?!\.)", text, re.MULTILINE)
    if match:
        return match[1]
    factory = re.search(r"^def (create_app|make_app)\(([^)]*)\)", text, re.MULTILINE)
    if factory and all(
        "=" in argument or argument.lstrip().startswith("*") for argument in factory[2].split(",") if argument.strip()
    ):
        return f"{factory[1]}()"
    return ""


def installed() -> str:
    """The first web server that is installed here; nginx when there is none."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    return next((name for name, (command, _) in VERSIONS.items() if shutil.which(command, path=path)), "nginx")


def settings_file(site: Site, front: str = "") -> str:
    """``ssgi-gateway.toml`` of a site; ``front`` is its web server."""
    lines = [
        "# Every setting is in docs/settings.md; try it with: ssgi-gateway check",
        f'app = "{site.app}"',
        f'{site.protocol} = ["{site.address}"]',
    ]
    if site.has_direct:
        lines.append(f'websocket = ["{site.direct}"]')
    if site.mount:
        lines.append(f'root-path = "{site.mount}"')
    lines.append('workers = "auto"')
    for name, value, why in site.needed(front):
        lines.append(f"{name} = {str(value).lower()}  # {why}")
    if _has_unix(site):
        lines.append(f'socket-owner = ":{site.group}"')
    if site.websockets != "off":
        lines += ["", "[websockets]", "# Pages of other sites cannot open WebSockets here.", 'origins = ["same"]']
    return "\n".join(lines) + "\n"


def _has_unix(site: Site) -> bool:
    addresses: list[Address] = [site.address, *([site.direct] if site.has_direct else [])]
    return any(address.kind == "unix" for address in addresses)


def next_commands(given: argparse.Namespace, site: Site, unit: Path, front: Path) -> list[str]:
    """What is left to do, in two commands: the service, and the web server as the head of its file has it."""
    service = f"sudo sh -c 'cp {unit} {KINDS['systemd'].where} && systemctl enable --now {unit.stem}'"
    head = front.read_text(encoding="utf-8").partition("\n\n")[0].partition("The gateway:")[0]
    steps = re.findall(r"^#     (\S.*)$", head, re.MULTILINE)
    if not steps:
        return [service, f"cp {front} {front_named(given.front).where}    (its first lines say the rest)"]
    return [service, f"sudo sh -c '{' && '.join(steps)}'".replace("THIS_FILE", str(front))]
