"""What is left of a request's variables, and which headers they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire import variables as module
from ssgi_gateway.wire.variables import Variables, header_name, variable_name


def variables(*pairs, **others):
    named = [*pairs, *others.items()]
    return Variables((name.encode("latin-1"), value.encode("latin-1")) for name, value in named)


def test_reading_like_a_mapping():
    seen = variables(REQUEST_METHOD="GET", HTTP_X="\xe9")
    assert seen.get("REQUEST_METHOD") == seen["REQUEST_METHOD"] == "GET"
    assert seen.get("NONE") is None
    assert seen.get("NONE", "first") == "first"
    assert "HTTP_X" in seen
    assert "NONE" not in seen
    assert len(seen) == 2
    assert list(seen) == ["REQUEST_METHOD", "HTTP_X"]
    assert list(seen.items()) == [("REQUEST_METHOD", "GET"), ("HTTP_X", "\xe9")]
    assert repr(seen) == "Variables({'REQUEST_METHOD': 'GET', 'HTTP_X': 'é'})"
    with pytest.raises(KeyError):
        seen["NONE"]


def test_made_of_unique_names_it_is_cleaned_as_well():
    seen = Variables.from_unique({"HTTP_PROXY": b"evil", "HTTP_HOST": b"a b", "HTTP_X": b"1"})
    assert list(seen.items()) == [("HTTP_X", "1")]
    with pytest.raises(RequestRejected):
        Variables.from_unique({"A=B": b""})


# -- repeats -------------------------------------------------------------------------------------------------------


def test_scgi_14_repeats_are_joined_or_the_last_wins():
    seen = variables(
        ("HTTP_ACCEPT", "a"),
        ("SERVER_NAME", "one"),
        ("HTTP_COOKIE", "a=1"),
        ("HTTP_ACCEPT", "b"),
        ("HTTP_COOKIE", "b=2"),
        ("SERVER_NAME", "two"),
        ("HTTP_ACCEPT", ""),
    )
    assert list(seen.items()) == [("HTTP_ACCEPT", "a, b, "), ("SERVER_NAME", "two"), ("HTTP_COOKIE", "a=1; b=2")]


@pytest.mark.parametrize(("first", "second", "kept"), [("5", "5", "5"), ("5", "", ""), ("", "5", "5"), ("", "", "")])
def test_scgi_13_equal_lengths_are_one(first, second, kept):
    assert variables(("CONTENT_LENGTH", first), ("CONTENT_LENGTH", second))["CONTENT_LENGTH"] == kept


@pytest.mark.parametrize("lengths", [("5", "6"), ("5", "05"), ("0", "5")])
def test_scgi_13_different_lengths_are_400(lengths):
    with pytest.raises(RequestRejected, match="CONTENT_LENGTH was sent twice") as refusal:
        variables(*(("CONTENT_LENGTH", length) for length in lengths))
    assert refusal.value.status == 400


SINGLE_FIELDS = (
    "HOST", "AUTHORIZATION", "ORIGIN", "REFERER", "USER_AGENT", "RANGE", "IF_RANGE", "IF_MODIFIED_SINCE",
    "IF_UNMODIFIED_SINCE", "SEC_WEBSOCKET_KEY", "CONTENT_ENCODING",
)  # fmt: skip


@pytest.mark.parametrize("name", SINGLE_FIELDS)
def test_of_a_field_that_exists_once_the_last_one_wins(name):
    """nginx: ``include scgi_params; scgi_param HTTP_HOST $http_host;`` where the stock file has a HTTP_HOST already."""
    seen = variables((f"HTTP_{name}", "example.org"), ("HTTP_X", "1"), (f"HTTP_{name}", "example.org:8443"))
    assert seen.header(name.replace("_", "-")) == "example.org:8443"


def test_fields_that_are_lists_are_joined():
    seen = variables(("HTTP_IF_NONE_MATCH", '"a"'), ("HTTP_IF_NONE_MATCH", '"b"'), ("HTTP_ACCEPT", "x"))
    assert seen.header("if-none-match") == '"a", "b"'


# -- what Apache renames, and users ----------------------------------------------------------------------------------


def test_what_apache_renames_for_a_rewritten_request_is_taken_by_its_name():
    """``.htaccess``: ``RewriteRule ... [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]``."""
    sent = (("REDIRECT_STATUS", "200"), ("REDIRECT_HTTP_AUTHORIZATION", "Basic eDp5"), ("REDIRECT_REMOTE_USER", "me"))
    seen = variables(("REMOTE_USER", ""), *sent, ("A", "b"))
    assert seen.header("authorization") == "Basic eDp5"
    assert seen["REMOTE_USER"] == "me"
    assert "REDIRECT_HTTP_AUTHORIZATION" not in seen
    assert list(seen) == ["REDIRECT_STATUS", "HTTP_AUTHORIZATION", "REMOTE_USER", "A"]


def test_what_is_there_already_is_not_replaced():
    sent = (("HTTP_AUTHORIZATION", "own"), ("REDIRECT_HTTP_AUTHORIZATION", "other"))
    assert variables(*sent).header("authorization") == "own"


@pytest.mark.parametrize("name", ["REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT"])
def test_a_user_is_shown_only_where_the_web_server_checks_and_names_one(name):
    """HAProxy and nginx's stock fastcgi_params say whom the client claims to be; Caddy says nobody."""
    for value, believed, shown in (("admin", False, False), ("admin", True, True), ("", True, False)):
        seen = variables((name, value), ("A", "b"))
        seen.settle_user(believed)
        assert (name in seen) is shown
        assert seen["A"] == "b"


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "A=B", "A\0B", "A\rB", "A\nB"])
def test_fastcgi_38_names_that_are_none_are_400(name):
    with pytest.raises(RequestRejected) as refusal:
        variables((name, "x"))
    assert refusal.value.status == 400
    assert "\n" not in refusal.value.message


@pytest.mark.portable
def test_names_are_remembered_within_bounds():
    for i in range(3000):
        variables((f"HTTP_RANDOM_{i}", "x"), ("HTTP_" + "X" * 300 + str(i), "x"))
    assert len(module._known) <= 1024
    assert max(map(len, module._known)) <= 64


def test_names_that_differ_at_the_beginning_alone_are_not_taken_for_each_other():
    for i in range(300):
        name = f"HTTP_{i:03}_ALL_THE_SAME"
        seen = variables((name, "1"), ("HTTP_999_ALL_THE_SAME", "2"))
        assert seen.headers() == [(f"{i:03}-all-the-same", "1"), ("999-all-the-same", "2")]


def test_a_name_that_is_too_long_to_be_remembered_is_read_all_the_same():
    seen = variables(("HTTP_" + "X" * 300, "long"))
    assert seen.headers() == [("x" * 300, "long")]
    assert seen.header("X" * 300) == "long"


@pytest.mark.parametrize(
    ("variable", "header"),
    [
        ("HTTP_ACCEPT_ENCODING", "accept-encoding"),
        ("HTTP_X", "x"),
        ("HTTP_A.B", "a.b"),
        ("CONTENT_TYPE", "content-type"),
        ("CONTENT_LENGTH", "content-length"),
        ("HTTP_", ""),
        ("HTTP_a", ""),
        ("HTTP_A-B", ""),
        ("HTTP_A B", ""),
        ("HTTP_A:B", ""),
        ("HTTP_\xc4", ""),
        ("SERVER_PORT", ""),
        ("HTTPS", ""),
    ],
)
def test_which_variables_are_headers(variable, header):
    assert header_name(variable) == header
    if header:
        assert variable_name(header) == variable_name(header.upper()) == variable_name(header.title()) == variable
        assert variables((variable, "1")).headers() == [(header, "1")]
    else:
        assert variables((variable, "1")).headers() == []


@pytest.mark.parametrize("header", ["", "a_b", "content_type", "a b", "a:b", "\u212a", "\u017f", "\xdf", "é"])
def test_what_is_no_header_name_is_no_header(header):
    assert variable_name(header) == ""
    assert variables(HTTP_A_B="x", CONTENT_TYPE="x", HTTP_K="x", HTTP_S="x", HTTP_SS="x").header(header) is None


def test_cgi_57_the_underscore_and_the_dash_arrive_as_one():
    seen = variables(("HTTP_X_FORWARDED_FOR", "spoofed"), ("HTTP_X_FORWARDED_FOR", "10.0.0.1"), REMOTE_ADDR="10.0.0.2")
    assert seen.header("X-Forwarded-For") == "spoofed, 10.0.0.1"
    assert seen.header("X_Forwarded_For") is None
    assert seen.headers() == [("x-forwarded-for", "spoofed, 10.0.0.1")]


# -- what no application meets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["Proxy", "proxy", "PROXY"])
def test_cgi_47_proxy_is_dropped(header):
    seen = variables(HTTP_PROXY="http://evil", HTTP_X="1")
    assert seen.header(header) is None
    assert seen.get("HTTP_PROXY") is None
    assert seen.headers() == [("x", "1")]
    assert dict(seen.items()) == {"HTTP_X": "1"}


def test_cgi_48_the_clients_framing_is_dropped():
    seen = variables(
        REQUEST_METHOD="POST",
        CONTENT_LENGTH="5",
        CONTENT_TYPE="text/plain",
        HTTP_CONTENT_LENGTH="6",
        HTTP_CONTENT_TYPE="text/html",
        HTTP_TRANSFER_ENCODING="chunked",
    )
    assert seen.headers() == [("content-length", "5"), ("content-type", "text/plain")]
    assert seen.header("Transfer-Encoding") is None
    assert seen.header("Content-Length") == "5"
    assert seen.header("Content-Type") == "text/plain"
    assert set(dict(seen.items())) == {"REQUEST_METHOD", "CONTENT_LENGTH", "CONTENT_TYPE"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])
def test_a_length_of_nothing_is_not_shown_where_a_body_is_unusual(method):
    seen = variables(REQUEST_METHOD=method, CONTENT_LENGTH="0", CONTENT_TYPE="")
    assert seen.header("content-length") is None
    assert seen.header("content-type") is None
    assert seen.headers() == []
    assert variables(REQUEST_METHOD=method, CONTENT_LENGTH="000").headers() == []
    assert variables(REQUEST_METHOD=method, CONTENT_LENGTH="10").headers() == [("content-length", "10")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "PROPFIND"])
def test_a_length_of_nothing_is_shown_where_a_body_is_usual(method):
    assert variables(REQUEST_METHOD=method, CONTENT_LENGTH="0").headers() == [("content-length", "0")]
    assert variables(REQUEST_METHOD=method, CONTENT_LENGTH="").headers() == []


def test_an_empty_header_is_there():
    seen = variables(HTTP_X="")
    assert seen.header("x") == ""
    assert seen.headers() == [("x", "")]


@pytest.mark.parametrize(
    "host", ["", 'a<b>"', "a b", "a/b", "a@b", "a,b", "_", "[::1", "a:99999", "é", "a\r\nb", "a" * 300]
)
def test_cgi_52_a_host_that_is_none_is_never_shown(host):
    seen = variables(HTTP_HOST=host, SERVER_NAME="own", SERVER_PORT="8080", HTTP_X="1")
    assert seen.header("Host") == "own:8080"
    assert seen.headers() == [("x", "1"), ("host", "own:8080")]
    assert "HTTP_HOST" not in seen


@pytest.mark.parametrize("host", ["a", "a:1", "A.example.org:443", "[::1]", "[::1]:8443", "127.0.0.1:", "under_score"])
def test_cgi_52_a_host_with_or_without_port_is_shown_as_sent(host):
    seen = variables(HTTP_HOST=host, SERVER_NAME="own", SERVER_PORT="8080")
    assert seen.header("host") == host
    assert seen.headers() == [("host", host)]


def test_cgi_52_without_any_name_there_is_no_host():
    seen = variables(HTTP_HOST="<", SERVER_PORT="80")
    assert seen.header("host") is None
    assert seen.headers() == []


# -- properties ----------------------------------------------------------------------------------------------------

names = st.one_of(
    st.sampled_from(
        ["HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_COOKIE", "HTTP_PROXY", "SERVER_NAME", "HTTPS"]
    ),
    st.from_regex(r"HTTP_[A-Za-z_.\-: ]{0,6}", fullmatch=True),
)
values = st.one_of(st.text(st.characters(max_codepoint=255), max_size=10), st.sampled_from(["0", "5", "localhost"]))


@given(st.dictionaries(names, values, max_size=12), st.sampled_from(["GET", "POST"]))
def test_one_header_and_all_headers_agree(pairs, method):
    seen = variables(REQUEST_METHOD=method, **pairs)
    headers = seen.headers()
    assert len(dict(headers)) == len(headers)
    for name, value in headers:
        assert name == name.lower()
        assert seen.header(name) == seen.header(name.upper()) == value
    for variable in pairs:
        name = variable.removeprefix("HTTP_")
        assert seen.header(name) == dict(headers).get(name.lower())
        assert seen.header(name.replace("_", "-")) == dict(headers).get(name.replace("_", "-").lower())
    assert not {"proxy", "transfer-encoding"} & set(dict(headers))


@given(st.lists(st.tuples(st.sampled_from(["HTTP_A", "HTTP_COOKIE", "B"]), values), max_size=8))
def test_nothing_of_a_repeated_header_is_lost(pairs):
    seen = variables(*pairs)
    for name, separator in (("HTTP_A", ", "), ("HTTP_COOKIE", "; ")):
        sent = [value for other, value in pairs if other == name]
        assert seen.get(name) == (separator.join(sent) if sent else None)
    assert seen.get("B") == dict(pairs).get("B")
