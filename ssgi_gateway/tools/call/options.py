"""The command line of ``call``: curl's letters, and what SCGI and FastCGI need beside them."""

from __future__ import annotations

import argparse
import re
from functools import partial
from typing import Any, Final, NoReturn

from ssgi_gateway.errors import ConfigurationError

from .fronts import FRONTS

__all__ = ["option_names", "parse"]

EXAMPLES: Final = """\
examples:
  ssgi-gateway call --scgi unix:/run/app.sock /                        a request to a gateway, as nginx would send it
  ssgi-gateway call --scgi unix:/run/app.sock /healthz -fsm 2          a health check
  ssgi-gateway call --fastcgi 127.0.0.1:9000 /index.php --script-filename /var/www/index.php
  ssgi-gateway call --scgi :9000 /upload -T big.bin -v                 with all variables and timings
  ssgi-gateway call --scgi unix:/run/app.sock / --keep 1000            how fast is it without nginx
  ssgi-gateway call --fastcgi unix:/run/php-fpm.sock --probe           the answer to FCGI_GET_VALUES
  ssgi-gateway call --scgi unix:/run/app.sock /ws --ws                 a WebSocket; lines are messages
"""


DATA: Final = (
    ("data", ("-d", "--data", "--data-ascii"), "a form; @FILE reads it, @- standard input"),
    ("binary", ("--data-binary",), "likewise, as it is"),
    ("raw", ("--data-raw",), "likewise, without @"),
    ("json", ("--json",), "JSON"),
)


CONNECT_TIMEOUT: Final = 10.0
"""Seconds."""
ELSEWHERE: Final = (
    (("-c", "--cookie-jar"), "there are no cookie files; -b 'NAME=VALUE' sends cookies"),
    (("-x", "--proxy"), "there are no proxies here"),
    (("--http1.1",), "it is what web servers are asked with anyway"),
    (("--http2", "--http2-prior-knowledge"), "HTTP/1.1 only; from Python ssgi_gateway.client speaks HTTP/2"),
    (("--retry",), "a loop of the shell's tries again"),
    (("--resolve", "--connect-to"), "--unix-socket PATH, or -H 'Host: NAME' and the address in the URL"),
    (("--data-urlencode",), "-G -d and -d send what they get; encode it before"),
)
"""Letters of curl's that are no letters of ours, and what there is in their place."""


def _data(how: str, text: str) -> tuple[str, str]:
    return how, text


def _seconds(text: str) -> float:
    """As curl takes them: 0 stands for what holds without the option."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; write 2 or 0.5")
    return seconds


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        letters = re.fullmatch(r"argument -\w/\S+: ignored explicit argument '(\w).*'", message)
        if letters and f"-{letters[1]}" not in self._option_string_actions:
            message = f"unrecognized arguments: -{letters[1]}"  # among letters that are written together
        raise ConfigurationError(f"call: {message}{self._suggestion(message)}; see ssgi-gateway call --help")

    def _suggestion(self, message: str) -> str:
        """What was meant by an option that there is not, and curl's that are not here."""
        _, unknown, words = message.partition("unrecognized arguments: ")
        word = next((one for one in words.split() if one.startswith("-")), "")
        if not unknown or not word:
            return ""
        name = word.partition("=")[0]
        for names, advice in ELSEWHERE:
            if name in names:
                return f"; {advice}"
        from ssgi_gateway.settings.values import did_you_mean  # only a mistake needs it

        return did_you_mean(name, [known for known in self._option_string_actions if known.startswith("--")])


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ssgi-gateway call",
        usage="ssgi-gateway call (--scgi ADDR | --fastcgi ADDR | --websocket ADDR) [PATH] [options]\n"
        "       ssgi-gateway call URL [options]",
        description="Send a request to a gateway or a web server. The letters and exit statuses are curl's.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("url", nargs="?", metavar="URL|PATH", help="http, https, scgi or fcgi; with an address, the path")
    where = parser.add_argument_group("where").add_argument
    where("--scgi", metavar="ADDR", help="a gateway's address, as in serve: unix:/run/app.sock, host:port, :port")
    where("--fastcgi", metavar="ADDR", help="likewise, over FastCGI")
    where("--websocket", metavar="ADDR", help="likewise, the direct port")
    where("--unix-socket", metavar="PATH", help="for a URL: connect to this socket")
    _request_options(parser)
    _gateway_options(parser)
    _output_options(parser)
    return parser


def _request_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the request").add_argument
    add("-X", "--request", metavar="METHOD", help="the method")
    add("-H", "--header", action="append", default=[], metavar="LINE", help="a header, 'Name: value'; @FILE reads them")
    for how, letters, words in DATA:
        add(*letters, action="append", type=partial(_data, how), dest="data", metavar="DATA", help=words)
    add("-T", "--upload-file", metavar="FILE", help="PUT a file; - streams standard input")
    add("-F", "--form", action="append", default=[], metavar="NAME=VALUE", help="multipart/form-data; @FILE uploads")
    add("-G", "--get", action="store_true", help="put the data of -d into the query")
    add("-I", "--head", action="store_true", help="HEAD")
    add("-A", "--user-agent", metavar="NAME", help="the User-Agent")
    add("-b", "--cookie", action="append", metavar="DATA", help="the Cookie header")
    add("-e", "--referer", metavar="URL", help="the Referer")
    add("-u", "--user", metavar="USER:PASSWORD", help="Basic authentication")
    add("-L", "--location", action="store_true", help="follow redirects")
    add("--compressed", action="store_true", help="request a compressed answer and decompress it")
    add("-k", "--insecure", action="store_true", help="TLS: accept any certificate")
    add("--cacert", metavar="FILE", help="TLS: trust these")


def _gateway_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("as a web server").add_argument
    add("--param", action="append", default=[], metavar="NAME=VALUE", help="a variable; NAME= empty, -NAME removes it")
    add("--script-filename", metavar="FILE", help="SCRIPT_FILENAME, for php-fpm")
    add("--front", choices=sorted(FRONTS), help="send exactly the variables that this web server sends by default")
    add("--https", action="store_true", help="report that the client came by https")
    add("--remote", metavar="ADDR", default="127.0.0.1", help="report where the client comes from")
    add("--probe", action="store_true", help="FastCGI: send FCGI_GET_VALUES")
    add(
        "--keep",
        type=int,
        metavar="N",
        help="send N requests, on kept connections where there are any; print latencies",
    )
    add("--dry-run", action="store_true", help="print the bytes in place of sending them")
    add("--ws", action="store_true", help="open a WebSocket; lines of standard input are messages")
    add("--rpc", nargs="+", metavar=("NAME", "JSON"), help="call a Swill procedure over a WebSocket")


def _output_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the answer").add_argument
    add("-i", "--include", action="store_true", help="print the head, too")
    add("-D", "--dump-header", metavar="FILE", help="write the head there; - is standard output")
    add("-o", "--output", metavar="FILE", help="write the body there")
    add("-O", "--remote-name", action="store_true", help="write the body to a file of the path's last name")
    add("-N", "--no-buffer", action="store_true", help="write what comes at once, which is always done")
    add("-s", "--silent", action="store_true", help="show no errors")
    add("-S", "--show-error", action="store_true", help="with -s: show them nevertheless")
    add("-v", "--verbose", action="store_true", help="show variables, records, heads, timings")
    add("-f", "--fail", action="store_true", help="exit with 22 for a status of 400 or more")
    add("--fail-with-body", action="store_true", help="likewise, and write the body")
    add("-m", "--max-time", type=_seconds, metavar="SECONDS", help="for everything; 0 is no limit")
    add("--connect-timeout", type=_seconds, metavar="SECONDS", default=CONNECT_TIMEOUT, help="for the connection")
    add("-w", "--write-out", metavar="FORMAT", help="print this at the end, with %%{http_code}, %%{time_total} ...")


def parse(words: list[str]) -> Any:
    """The options.

    Raises:
        ConfigurationError: they cannot be used; the message says what to write.
        SystemExit: after ``--help``.
    """
    given = _parser().parse_intermixed_args(_joined(words))
    given.max_time = given.max_time or None
    given.connect_timeout = given.connect_timeout or CONNECT_TIMEOUT
    addresses = [name for name in ("scgi", "fastcgi", "websocket") if getattr(given, name) is not None]
    if len(addresses) > 1:
        raise ConfigurationError(f"call: one of --{' and --'.join(addresses)}, not both")
    given.protocol = addresses[0] if addresses else None
    if not addresses and not given.url:
        raise ConfigurationError("call: where to? Write --scgi ADDR, --fastcgi ADDR or a URL; see --help")
    if given.front is not None:
        if given.protocol not in ("scgi", "fastcgi"):
            raise ConfigurationError("call: --front needs --scgi or --fastcgi")
        if given.protocol not in FRONTS[given.front]:
            raise ConfigurationError(f"call: {given.front} does not speak {given.protocol}; use --fastcgi")
    if given.probe and given.protocol != "fastcgi":
        raise ConfigurationError("call: --probe sends FCGI_GET_VALUES, so it needs --fastcgi")
    if given.ws and given.protocol == "fastcgi":
        raise ConfigurationError("call: FastCGI has no WebSockets; use --scgi, or --websocket for the direct port")
    if given.keep is not None and given.keep < 1:
        raise ConfigurationError("call: --keep takes a number of requests")
    _check_together(given)
    return given


def _check_together(given: Any) -> None:
    if not all("=" in one for one in given.cookie or ()):
        raise ConfigurationError("call: -b wants 'NAME=VALUE; ...'; files of cookies are not read")
    if given.user and ":" not in given.user:
        raise ConfigurationError("call: -u wants USER:PASSWORD, and does not ask for the password")
    bodies = [bool(given.data and not given.get), bool(given.form), given.upload_file is not None]
    has_body = any(bodies)
    if sum(bodies) > 1:
        raise ConfigurationError(
            "call: one of -d, -F and -T, for there is one body; -G puts the data of -d into the query"
        )
    if given.dry_run and (given.ws or given.rpc or given.probe or given.keep is not None):
        raise ConfigurationError("call: --dry-run prints one request, and not --ws, --rpc, --probe or --keep")
    if has_body and given.head:
        raise ConfigurationError("call: -I asks for a head, and -d, -F, -T send a body; -X says which method is meant")
    if has_body and (given.ws or given.rpc):
        raise ConfigurationError("call: a WebSocket has no body; lines of standard input are messages")


def option_names() -> set[str]:
    """Every long option, for those who check what is written about them."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", _parser().format_help()))


def _joined(words: list[str]) -> list[str]:
    """``--param -NAME`` is a value that looks like an option."""
    joined: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--param":
            joined.append(f"--param={next(rest, '')}")
        else:
            joined.append(word)
    return joined
