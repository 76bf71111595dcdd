"""What an application is told of a request is what the client said, on every route."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.apps.behaviour import HELLO
from tests.behaviour.raw import Answer, exchange, scgi
from tests.harness import HTTP_ROUTES, Endpoint, Gateway, Site, to_nginx

pytestmark = pytest.mark.nginx


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MKCOL", "REPORT", "M-SEARCH", "BREW"]
)
def test_methods(http: Endpoint, method: str) -> None:
    facts = http.request(method, "/anything", body=b"" if method in ("POST", "PUT", "PATCH") else None).json()
    assert facts["method"] == method


PATHS = {
    "/": "/",
    "/a/b/": "/a/b/",
    "/a%2Fb": "/a/b",
    "/a%2fb": "/a/b",
    "/%61%62c": "/abc",
    "/a%20b+c": "/a b+c",
    "/100%25": "/100%",
    "/a%252Fb": "/a%2Fb",  # decoded once
    "/a%25%32%66b": "/a%2fb",
    "/gr%C3%BC%C3%9Fe/%E2%82%AC/%F0%9F%98%80": "/grüße/€/😀",
    "/\xc3\xa4": "/ä",  # raw, as some clients send it
    "/%C3%A4\xc3\xa4": "/ää",
    "/latin-1-%E4": "/latin-1-\udce4",  # surrogateescape: no byte is lost
    "/cut-%E2%82": "/cut-\udce2\udc82",
    "/long-%C0%AF": "/long-\udcc0\udcaf",  # an overlong slash is none
    "/%ED%A0%80": "/\udced\udca0\udc80",
    "/a%3Fb%23c": "/a?b#c",
    "/a;v=1,2:@!$&'()*+=~_-.": "/a;v=1,2:@!$&'()*+=~_-.",
    "/%3B%2C%3A%40%21%24": "/;,:@!$",
    "/%0D%0Ax:%20y": "/\r\nx: y",
    "/%01%7F%1B%5B31m": "/\x01\x7f\x1b[31m",
    "//double//slashes": "//double//slashes",
    "/a/./b/../c": "/a/./b/../c",
    "/a/%2E%2E/c": "/a/../c",
    "/" + "x" * 4000: "/" + "x" * 4000,
    '/[]|^`{}\\"<>': '/[]|^`{}\\"<>',
}


def test_paths_with_every_kind_of_percent_encoding(http: Endpoint) -> None:
    for target, path in PATHS.items():
        facts = http.get(target).json()
        assert facts["path"] == path, target
        assert facts["extensions"]["raw_path"] == target
        assert facts["extensions"]["root_path"] == ""
        assert facts["query_string"] == ""


def test_the_absolute_form_is_the_path_that_it_names(http: Endpoint) -> None:
    facts = http.get("http://example.org:81/a%2Fb?c=%2F", [("X-A", "1")]).json()
    assert facts["path"] == "/a/b"
    assert facts["query_string"] == "c=%2F"


def test_a_nul_or_a_bad_escape_never_reaches_an_application(http: Endpoint) -> None:
    for target in ("/a%00b", "/%zz", "/%", "/%4"):
        answer = http.get(target)
        assert answer.status == 400  # nginx's; past it the gateway's is the same, see below


def test_a_nul_is_400_and_a_bad_escape_stays_as_it_is(start: Callable[..., Gateway]) -> None:
    address = start().address("scgi", "unix")
    assert Answer(exchange(address, scgi({"REQUEST_URI": "/a%00b"}))).status == 400
    for target in ("/%zz", "/%", "/%4"):
        assert f'"path": "{target}"'.encode() in exchange(address, scgi({"REQUEST_URI": target}))


QUERIES = [
    "",
    "a=1",
    "a=1&b=%41%2f&b=+",
    "?",
    "a=%00%FF%zz",
    "a=\xe4\xff",
    "=&&=;",
    "q=" + "x" * 4000,
    "u=http://example.org/?x=/..//",
    "a=<>\"'\\{}|^`[]",
]


def test_query_strings_are_not_decoded(http: Endpoint) -> None:
    for query in QUERIES:
        facts = http.get(f"/path?{query}").json()
        assert facts["query_string"] == query
        assert facts["path"] == facts["extensions"]["raw_path"] == "/path"


def test_get_header_takes_any_case_and_returns_none_without_one(http: Endpoint) -> None:
    names = ("X-Custom-Header", "x-custom-header", "X-CUSTOM-HEADER", "User-Agent", "Content-Type", "x-missing")
    target = "/?" + "&".join(f"ask={name}" for name in names)
    sent = [("x-cUSTOM-hEADER", "Value"), ("User-agent", "tests"), ("Content-Type", "text/plain")]
    asked = http.request("POST", target, sent, body=b"x").json()["asked"]
    assert asked == dict(zip(names, ("Value", "Value", "Value", "tests", "text/plain", None), strict=True))


def test_repeated_headers_join_in_order(http: Endpoint) -> None:
    sent = [("X-A", "1"), ("X-B", "between"), ("X-A", "2, 3"), ("x-a", "4")]
    facts = http.get("/", sent).json()
    assert facts["joined"]["x-a"] == "1, 2, 3, 4"
    assert facts["joined"]["x-b"] == "between"


def test_cookies_join_as_cookies(http: Endpoint) -> None:
    facts = http.get("/", [("Cookie", "a=1; b=2"), ("Cookie", "c=3")]).json()
    assert facts["joined"]["cookie"] == "a=1; b=2; c=3"


def test_header_values_are_latin_1_and_may_be_empty_or_long(http: Endpoint) -> None:
    sent: list[tuple[str, str | bytes]] = [
        ("X-Latin", b"gr\xfc\xdfe"),
        ("X-Utf-8", "grüße".encode()),
        ("X-Control", b"a\x01\x1b[31m\x7f\tb"),
        ("X-Long", "x" * 7000),
        ("X-Spaces", "   in between   "),
        ("X-Quoted", "\"a, b\"; c='d'"),
    ]
    joined = http.get("/", sent).json()["joined"]
    assert joined["x-latin"] == "grüße"
    assert joined["x-utf-8"].encode("latin-1").decode() == "grüße"
    assert joined["x-control"] == "a\x01\x1b[31m\x7f\tb"
    assert joined["x-long"] == "x" * 7000
    assert joined["x-spaces"] == "in between"
    assert joined["x-quoted"] == "\"a, b\"; c='d'"


def test_the_mapping_and_the_raw_list_say_the_same(http: Endpoint) -> None:
    facts = http.request("POST", "/", [("X-A", "1"), ("Accept", "*/*"), ("Content-Type", "a/b")], body=b"12345").json()
    headers = {name: ", ".join(values) for name, values in facts["headers"].items()}
    assert headers["content-length"] == "5"
    assert headers["content-type"] == "a/b"
    assert headers["accept"] == "*/*"
    assert facts["joined"] == headers
    assert dict(facts["raw_headers"]) == headers
    assert all(name == name.lower() for name in headers)


def test_content_length_and_type_of_nothing_are_not_shown(http: Endpoint) -> None:
    for method in ("GET", "DELETE", "OPTIONS"):
        headers = http.request(method, "/").json()["headers"]
        assert "content-length" not in headers
        assert "content-type" not in headers


def test_the_clients_framing_is_not_shown(http: Endpoint) -> None:
    facts = http.request("PUT", "/", body=[b"abc"], chunked=True).json()
    assert "transfer-encoding" not in facts["headers"]
    assert facts["headers"].get("content-length", ["3"]) == ["3"]  # nginx counts what it collects


def test_a_proxy_header_reaches_nobody(http: Endpoint) -> None:
    facts = http.get("/?ask=Proxy", [("Proxy", "http://evil.example:3128")]).json()
    assert facts["asked"] == {"Proxy": None}
    assert "proxy" not in facts["headers"]
    assert "HTTP_PROXY" not in facts["environ"]
    assert all(name != "proxy" for name, _ in facts["raw_headers"])


def own_address(http: Endpoint) -> str:
    """The server's address; over SCGI and uwsgi nginx's own files have no SERVER_ADDR, and the servers here no name."""
    return "" if http.route.name in ("scgi-stock", "uwsgi-stock") else to_nginx(http.address)


def test_addresses_scheme_and_version(http: Endpoint) -> None:
    with http.connection() as connection:
        mine = to_nginx(connection.socket.getsockname())
        connection.send_head("GET", "/")
        facts = connection.read_response().json()
    assert facts["remote_address"] == mine
    assert facts["server_address"] == own_address(http)
    assert facts["extensions"]["scheme"] == "http"
    assert facts["extensions"]["http_version"] == "1.1"


def test_http_1_0_without_a_host(http: Endpoint) -> None:
    with http.connection() as connection:
        connection.send_head("GET", "/x", version="1.0", host=None)
        answer = connection.read_response()
    facts = answer.json()
    assert facts["extensions"]["http_version"] == "1.0"
    assert facts["path"] == "/x"
    assert facts["server_address"] == own_address(http)
    if not http.route.stock:
        assert facts["headers"]["host"] == [to_nginx(http.address)]  # SERVER_ADDR and SERVER_PORT stand for it


def test_the_gateways_variables_are_there(http: Endpoint) -> None:
    environ = http.get("/a?b").json()["environ"]
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["REQUEST_URI"] == "/a?b"
    assert environ["QUERY_STRING"] == "b"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"


def test_header_blocks_over_64_kib_pass_and_over_the_limit_get_431(site_with: Callable[..., Site]) -> None:
    site = site_with(http="large_client_header_buffers 8 256k;")
    for route in HTTP_ROUTES:
        if route.protocol == "scgi":  # over FastCGI nginx refuses them itself: its PARAMS are one record
            http = site.through(route)
            cookie = "c" * 100_000
            assert http.get("/", [("Cookie", cookie)]).json()["joined"]["cookie"] == cookie
            answer = http.get("/", [("Cookie", "c" * 140_000)])
            assert answer.status == 431
            assert b"131072" in answer.body
            assert http.get("/do/hello").body == HELLO


def test_a_root_path_setting_overrides_that_of_the_front(site_with: Callable[..., Site]) -> None:
    site = site_with("--root-path", "/mounted")
    for route in HTTP_ROUTES:
        facts = site.through(route).get("/mounted/a").json()
        assert facts["extensions"]["root_path"] == "/mounted"
        assert facts["path"] == "/mounted/a"
