"""What an application must not say, or says too late, and what a client puts into a log: each with its outcome."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.apps.behaviour import HELLO, pattern
from tests.behaviour.raw import FLAT, MIB, Answer, Peer, complaints, exchange, scgi
from tests.harness import HTTP_ROUTES, Endpoint, Gateway, Site, wait_until
from tests.unit.wire.fastcgi_front import KEEP_CONN, STDOUT, begin, params, record, stdin

pytestmark = pytest.mark.nginx

LISTENERS = [("scgi", "unix"), ("scgi", "tcp"), ("fastcgi", "unix"), ("fastcgi", "tcp")]


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Gateway:
    return start()


def fastcgi(target: str, method: str = "GET", flags: int = KEEP_CONN) -> bytes:
    """A FastCGI request without a body."""
    sent = {"REQUEST_METHOD": method, "REQUEST_URI": target, "REMOTE_ADDR": "192.0.2.1", "SERVER_PORT": "80"}
    return begin(flags=flags) + params({name.encode(): value.encode() for name, value in sent.items()}) + stdin()


def answer(gateway: Gateway, target: str, method: str = "GET") -> Answer:
    """The answer over SCGI, and a check that FastCGI's is the same."""
    data = exchange(gateway.address("scgi", "unix"), scgi({"REQUEST_METHOD": method, "REQUEST_URI": target}))
    with Peer(gateway.address("fastcgi", "unix"), fastcgi(target, method)) as peer:
        other = peer.read_fastcgi()
    told = Answer(data)
    assert (other.headers, other.body) == (told.headers, told.body)
    return told


def saying(*headers: str, status: str = "200") -> str:
    """A target whose application says this."""
    return f"/do/answer?status={quote(status)}&body=page" + "".join(f"&h={quote(header)}" for header in headers)


INJECTIONS = ["a\r\nInjected: 1", "a\nInjected: 1", "a\rInjected: 1", "a\0Injected", "\r\n\r\nInjected"]


@pytest.mark.parametrize("value", INJECTIONS)
def test_responses_60_a_value_with_cr_lf_or_nul_is_a_500_and_nothing_of_it_is_sent(http: Endpoint, value: str) -> None:
    told = http.get(saying("X-Good: 1", f"X-Bad: {value}"))
    assert (told.status, told.body) == (500, b"Internal Server Error\n")
    assert not {"injected", "x-bad", "x-good"} & {name for name, _ in told.headers}


def test_responses_60_the_log_names_the_header(gateway: Gateway) -> None:
    for value in INJECTIONS:
        data = exchange(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": saying(f"X-Bad: {value}")}))
        assert b"njected" not in data
        assert Answer(data).status == 500
    assert sum("ValueError: header 'X-Bad'" in line for line in gateway.log()) == len(INJECTIONS)


def test_responses_61_bad_names_and_statuses_are_a_500(http: Endpoint) -> None:
    for name in ("Bad Name", "Bad\r\nName", "Bad:Name", "", "B\xe4d", "Bad\0", "(bad)"):
        told = http.get(saying(f"{name}: value"))
        assert (told.status, told.body) == (500, b"Internal Server Error\n"), name
    for status in ("200\r\nX: y", "99", "1000", "101", "100", "-1", "0", "OK", "200 fine\r\nX: y", "20"):
        told = http.get(saying(status=status))
        assert (told.status, told.body) == (500, b"Internal Server Error\n"), status
        assert told.header("x") is None
    assert http.get("/do/hello").body == HELLO


def test_responses_63_headers_for_the_fronts_files_are_a_setting(start: Callable[..., Gateway]) -> None:
    target = saying("X-Accel-Redirect: /hidden", "X-Sendfile: /etc/passwd", "X-Other: 1")
    told = answer(start(), target)
    assert (told.header("x-accel-redirect"), told.header("x-sendfile")) == ("/hidden", "/etc/passwd")
    told = answer(start("--no-front-files"), target)
    assert (told.header("x-accel-redirect"), told.header("x-sendfile")) == (None, None)
    assert (told.header("x-other"), told.body) == ("1", b"page")


def test_responses_65_bodies_of_head_204_and_304_are_discarded(gateway: Gateway) -> None:
    told = answer(gateway, "/do/hello", "HEAD")
    assert (told.status, told.body, told.header("content-length")) == (200, b"", str(len(HELLO)))
    for target in ("/do/stream?size=100000", "/do/chunks?size=100000&total=1", "/do/flood?size=100000"):
        assert answer(gateway, target, "HEAD").body == b""
    for status in ("204", "304"):
        told = answer(gateway, saying(status=status))
        assert (told.status, told.body, told.header("content-length")) == (int(status), b"", None)
    assert complaints(gateway) == []


def test_responses_67_an_exception_before_the_head_is_a_500(gateway: Gateway) -> None:
    for target in ("/do/raise", "/do/raise-async"):
        told = answer(gateway, target)
        assert (told.status, told.body, told.whole) == (500, b"Internal Server Error\n", True)
    assert sum(line.startswith("RuntimeError: behaviour") for line in gateway.log()) == 4


def test_responses_67_an_exception_after_the_head_is_never_complete(gateway: Gateway) -> None:
    target = "/do/raise-late?size=50000&declared=100000"
    for kind in ("unix", "tcp"):
        told = Answer(exchange(gateway.address("scgi", kind), scgi({"REQUEST_URI": target})))
        assert told.header("content-length") == "100000"
        assert told.body == pattern(50_000)
        for request in (target, "/do/raise-late?size=50000"):
            for flags in (0, KEEP_CONN):
                with Peer(gateway.address("fastcgi", kind), fastcgi(request, flags=flags)) as peer:
                    content = b""
                    while len(content) < 50_000:
                        type_, request_id, piece = peer.read_record()
                        assert (type_, request_id) == (STDOUT, 1)
                        content += piece
                    # No END_REQUEST; and where nginx takes a close for the end, something that it cannot take.
                    assert peer.read() == (b"" if flags else bytes(8))


@pytest.mark.parametrize(("protocol", "kind"), LISTENERS)
def test_responses_68_a_gigabyte_that_the_application_ignores(gateway: Gateway, protocol: str, kind: str) -> None:
    size, piece = 1 << 30, bytes(65535)
    answer(gateway, "/do/hello")  # whatever is loaded with the first request is loaded
    pairs = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/hello", "CONTENT_LENGTH": str(size)}
    head = begin(flags=0) + params({name.encode(): value.encode() for name, value in pairs.items()})
    memory = gateway.rss()
    gateway.process.reset_peak_rss()
    with Peer(gateway.address(protocol, kind), scgi(pairs) if protocol == "scgi" else head) as peer:
        if protocol == "fastcgi":
            piece = record(5, 1, piece)
        peer.send_until_blocked(piece * 16, size)
        told = Answer(peer.read()) if protocol == "scgi" else peer.read_fastcgi()
    assert (told.status, told.body) == (200, HELLO)
    assert gateway.process.peak_rss() - memory < FLAT


def test_responses_68_a_gigabyte_through_nginx(site: Site) -> None:
    for route in HTTP_ROUTES:
        if route.streams_uploads:
            http = site.through(route)
            memory = site.gateway.rss()
            site.gateway.process.reset_peak_rss()
            told = http.request("POST", "/do/refuse", body=[bytes(MIB)] * 1024, timeout=60)
            assert (told.status, told.body) == (413, b"too large\n")
            assert site.gateway.process.peak_rss() - memory < FLAT


def test_responses_71_a_head_above_nginxs_buffer_is_one_line_that_names_the_directive(
    site_with: Callable[..., Site],
) -> None:
    site = site_with()
    for count, route in enumerate(HTTP_ROUTES, 1):
        told = site.through(route).get("/do/big-head?size=8000")
        assert told.status == (502 if route.stock else 200)
        lines = complaints(site.gateway)
        assert len(lines) == count
        assert f"{route.protocol}_buffer_size" in lines[-1]
    assert "upstream sent too big header" in site.nginx.error_log()


# What a client puts into a log


EVIL = "/a%0d%0a2026-01-01%2000:00:00,000%20ERROR%20forged%1b[31m%7f%e2%80%a8%c2%85?raise"


def test_cgi_56_a_path_of_line_ends_and_escapes_stays_one_log_line(http: Endpoint) -> None:
    gateway = http.site.gateway
    logged = len(gateway.process.text())
    assert http.get(EVIL).status == 500
    text = gateway.process.text()[logged:]
    assert all(it.isprintable() for it in text.splitlines())
    lines = text.splitlines()
    assert sum(" ERROR " in line for line in lines) == 1
    assert r"\r\n2026-01-01" in lines[0]
    assert lines[1].startswith("Traceback")


def test_cgi_56_refusals_and_protocol_errors_stay_one_log_line(gateway: Gateway) -> None:
    evil = "\r\n2026-01-01 00:00:00,000 ERROR forged\x1b[31m"
    address = gateway.address("scgi", "unix")
    count = 0
    for changes in (
        {"REQUEST_METHOD": "G" + evil},
        {"REQUEST_URI": "x" + evil},
        {"CONTENT_LENGTH": "1" + evil},
        {"REQUEST_URI": "/do/big-head?" + evil},
        {"SCGI": "1" + evil},
        {"HTTP_X" + evil: "1"},
    ):
        exchange(address, scgi(changes))
        count += 1
        assert len(complaints(gateway)) == count, changes
    exchange(address, evil.encode())
    exchange(gateway.address("fastcgi", "unix"), evil.encode())
    exchange(gateway.address("websocket", "unix"), f"GET {evil} HTTP/1.1\r\n\r\n".encode())
    lines = complaints(gateway)
    assert len(lines) == count + 3
    assert not any(line.startswith("2026-01-01 00:00:00,000") for line in gateway.log())
    assert all(line.isprintable() for line in gateway.log())


def test_cgi_56_the_access_log_stays_one_line_a_request(start: Callable[..., Gateway], tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    gateway = start("--access-log", str(log))
    headers = {"HTTP_USER_AGENT": 'agent\r\nforged "line" \x1b[31m', "HTTP_REFERER": "x\n\x7f\\", "REMOTE_ADDR": "1\n2"}
    told = exchange(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": "/do/hello?a\r\nb", **headers}))
    assert Answer(told).status == 200
    wait_until(lambda: log.exists() and log.read_bytes().endswith(b"\n"), "the request in the access log")
    (line,) = log.read_text().splitlines()
    assert line.isprintable()
    assert line.startswith(r"1\x0a2 - - [")
    assert re.search(r'" 200 14 "', line)
