"""WSGI's environ over both builds: the compiled one learns from the request before, the portable one does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fuzz.compare import both
from tests.equivalence.strategies import examples

NAMES = st.one_of(
    st.sampled_from((
        "REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT",
        "SERVER_PROTOCOL", "SERVER_ADDR", "CONTENT_LENGTH", "CONTENT_TYPE", "HTTPS", "REQUEST_SCHEME", "HTTP_HOST",
        "HTTP_X", "wsgi.version", "wsgi.input", "wsgi.z", "wsgi.", "wsgi", "REDIRECT_STATUS",
        "REDIRECT_HTTP_AUTHORIZATION", "HTTP_AUTHORIZATION", "REDIRECT_REMOTE_USER", "REMOTE_USER", "\xe4",
    )),
    st.text(st.characters(codec="latin-1", exclude_characters="=\0\r\n"), min_size=1, max_size=8),
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(("", "/", "/a", "/a/b", "GET", "on", "https", "example.org:8443", "80", "5")),
    st.text(st.characters(codec="latin-1", exclude_characters="\0"), max_size=300),
)
REQUESTS = st.lists(st.lists(st.tuples(NAMES, VALUES), max_size=12), min_size=1, max_size=4)
BASE = {"wsgi.version": (1, 0), "wsgi.errors": None, "wsgi.multithread": False}


@examples(300)
@given(requests=REQUESTS, root_path=st.sampled_from((None, "", "/a")))
def test_an_environ_is_the_same_in_both_builds(requests, root_path):
    makers = zip(
        both("wire.variables", "Variables"),
        both("wire.cgi", "parse_head"),
        both("adapters.wsgi.environ", "build_environ"),
        strict=True,
    )
    told = []
    for variables, parse, build in makers:
        told.append([])
        for pairs in requests:
            sent = [(b"REQUEST_METHOD", b"GET"), *((k.encode("latin-1"), v.encode("latin-1")) for k, v in pairs)]
            try:
                head = parse(variables(sent), root_path)
            except Exception as error:
                told[-1].append(str(error))
            else:
                told[-1].append(build(head, dict(BASE), "the body"))
    assert told[0] == told[1]
