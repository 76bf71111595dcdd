"""The command: reads what is asked, starts the probe where the gateway listens, prints what was found.

Exit status: 0 when nothing is wrong, 1 when something is, 2 when the examination could not be made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ssgi_gateway.cli.arguments import parser, read
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.diagnosis import Finding
from ssgi_gateway.server.address import Address
from ssgi_gateway.tools.config import gateway_settings
from ssgi_gateway.wire.protocols import PROTOCOLS

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from ssgi_gateway.settings import Settings

__all__ = ["main"]

USAGE: Final = """\
examples:
  ssgi-gateway doctor                                        only what can be seen from here
  ssgi-gateway doctor https://example.org --config FILE      through the web server; stop the gateway meanwhile
  ssgi-gateway doctor --script app.fcgi                      a script for a shared host
"""


def main(words: list[str]) -> int:
    """``ssgi-gateway doctor``; ``words`` are the arguments behind it."""
    given = read(parser_of_options(), words)
    if given.script:
        from . import script, trial

        path = Path(given.script)
        return report(list(script.examine(path)) or trial.examine(path), given.json)
    settings = gateway_settings(given.config)
    addresses = _addresses(given, settings)
    if not given.url:
        return report([finding for _, address in addresses for finding in _from_here(address)], given.json)
    return report(_through_the_web_server(given, settings, addresses), given.json)


def _through_the_web_server(
    given: Namespace, settings: Settings, addresses: Sequence[tuple[str, Address]]
) -> list[Finding]:
    """What an examination finds."""
    import secrets

    from . import sockets
    from .client import BadCertificate, Target, Unreachable
    from .examination import Examination
    from .stand_in import probing

    target = Target(given.url, secrets.token_hex(16), verify=not given.insecure)
    websocket = "" if given.no_websocket else given.websocket_path
    with probing(addresses, settings, target.secret) as stand_in:
        examination = Examination(target, given.upload_size << 20, websocket, stand_in)
        found = [finding for _, address in addresses for finding in sockets.examine(address)]
        try:
            found += examination.run()
        except BadCertificate as error:
            found.append(
                Finding(
                    "certificate-bad", str(error), "browsers refuse the site, and nothing else was examined",
                    "A certificate of an authority for this name; for an examination without one: --insecure",
                )
            )  # fmt: skip
        except Unreachable as error:
            found.append(
                Finding("unreachable", str(error), "no server answers at the site's address", "Start the web server")
            )
    return found


def parser_of_options() -> ArgumentParser:
    """The options."""
    made = parser(
        "ssgi-gateway doctor", "Find what is wrong between the web server and the gateway, and how to fix it."
    )
    made.epilog = USAGE
    add = made.add_argument
    add("url", metavar="URL", nargs="?", default="", help="The site's public address.")
    add("--config", metavar="FILE", default="", help="The gateway's settings: where it listens.")
    for name in (name for name, protocol in PROTOCOLS.items() if protocol.front):
        add(f"--{name}", metavar="ADDR", action="append", default=[], help=f"Where it listens for {name}.")
    add("--websocket-path", metavar="PATH", default="/", help="Where the site has WebSockets. [/]")
    add("--no-websocket", action="store_true", help="The site has none.")
    add("--upload-size", metavar="MIB", type=int, default=2, help="An upload that has to pass. [2]")
    add("--insecure", action="store_true", help="Take any certificate.")
    add("--json", action="store_true", help="For programs: a list of objects.")
    add("--script", metavar="FILE", default="", help="Examine a script for a shared host, such as app.fcgi.")
    return made


def _addresses(given: Namespace, settings: Settings) -> list[tuple[str, Address]]:
    found = []
    for protocol in PROTOCOLS:
        texts: Sequence[str] = getattr(given, protocol, []) or getattr(settings, protocol, ())
        found += [(protocol, Address.parse(text)) for text in texts]
    if not found:
        raise ConfigurationError(
            "where does the gateway listen? Pass --config FILE, or --scgi, --fastcgi, --websocket as it is started with"
        )
    return found


def _from_here(address: Address) -> Iterator[Finding]:
    """What can be seen without a request."""
    from . import sockets

    yield from sockets.examine(address)
    if (address.kind != "unix" or os.path.exists(address.path)) and not sockets.is_served(address):
        yield Finding(
            "no-listener", f"no server listens on {address}", "the web server answers 502",
            "Start the gateway, and compare this address with the web server's",
        )  # fmt: skip


def report(found: Sequence[Finding], as_json: bool) -> int:
    """Print what was found; returns the exit status."""
    if as_json:
        print(json.dumps([finding._asdict() for finding in found], indent=2))
    elif not found:
        print("Nothing is wrong that could be seen.")
    for number, finding in enumerate(() if as_json else found, 1):
        print(f"{number}. {finding.seen}\n   why   {finding.why}\n   fix   {finding.fix}\n")
    return 1 if found else 0
