"""``call -L``: what is asked after a redirect, and what a server cannot make it do by one."""

from __future__ import annotations

import base64
import socketserver
import threading

import pytest

from tests.acgi.test_call import call


class Server:
    """Answers with what ``answers`` says for a path; keeps the requests."""

    def __init__(self, answers):
        self.requests = requests = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while line := self.rfile.readline():
                    headers = {}
                    while field := self.rfile.readline().strip():
                        name, _, value = field.decode().partition(": ")
                        headers[name.lower()] = value
                    body = self.rfile.read(int(headers.get("content-length", 0)))
                    method, path, _ = line.decode().split()
                    requests.append((method, path, headers, body))
                    status, location = answers.get(path, (200, None))
                    where = f"Location: {location}\r\n" if location is not None else ""
                    self.wfile.write(f"HTTP/1.1 {status} X\r\n{where}Content-Length: 2\r\n\r\nok".encode("latin-1"))

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


SECRETS = ("-u", "me:secret", "-b", "session=1", "-H", "Authorization: Bearer token", "-H", "Cookie: other=1")


def test_passwords_and_cookies_go_to_no_other_origin():
    with Server({}) as other, Server({}) as first:
        answers = {"/": (302, "/here"), "/here": (302, f"{other.url}/there"), "/there": (200, None)}
        with Server(answers) as asked:
            done = call("-L", f"{asked.url}/", *SECRETS[:4], "-H", "Host: name.example", "-H", "X-Mine: 1")
            assert (done.returncode, done.stdout) == (0, b"ok")
        for _, _, headers, _ in asked.requests:
            assert headers["authorization"] == f"Basic {base64.b64encode(b'me:secret').decode()}"
            assert (headers["cookie"], headers["host"]) == ("session=1", "name.example")
        [(_, _, headers, _)] = other.requests
        assert not {"authorization", "cookie"} & set(headers)
        assert headers["host"] == other.url.removeprefix("http://")
        assert headers["x-mine"] == "1"
        with Server({"/": (302, first.url)}) as asked:
            assert call("-L", f"{asked.url}/", *SECRETS[4:]).returncode == 0
        assert asked.requests[0][2]["authorization"] == "Bearer token"
        assert not {"authorization", "cookie"} & set(first.requests[0][2])


@pytest.mark.parametrize(
    ("status", "method", "wanted"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
def test_the_request_there(status, method, wanted, tmp_path):
    """A body that goes along is sent again from its beginning, from a file as well."""
    (tmp_path / "body").write_bytes(b"b" * 100_000)
    sent = ["-T", tmp_path / "body"] if method == "PUT" else ["-d", "a=1"] if method == "POST" else []
    how = {"HEAD": ["-I"], "DELETE": ["-X", "DELETE"]}.get(method, [])
    with Server({"/a": (status, "/there")}) as asked:
        assert call("-L", f"{asked.url}/a", *how, *sent, "-m", "30").returncode == 0
    (first, _, _, body), (second, _, headers, again) = asked.requests
    assert (first, second) == (method, wanted)
    assert again == (body if wanted == method else b"")
    assert ("content-type" in headers) == (wanted == method == "POST")


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_method_that_was_given_stays(status):
    """As curl has it: ``-X`` changes the word that is sent, and not whether a body goes along."""
    with Server({"/a": (status, "/there")}) as asked:
        assert call("-L", f"{asked.url}/a", "-X", "POST", "-d", "a=1").returncode == 0
    (first, _, _, body), (second, _, headers, again) = asked.requests
    assert (first, body, second, again) == ("POST", b"a=1", "POST", b"")
    assert "content-type" not in headers


def test_standard_input_cannot_be_sent_again():
    with Server({"/": (307, "/there")}) as asked:
        done = call("-L", f"{asked.url}/", "-T", "-", "-H", "Content-Length: 1", stdin=b"x")
    assert (done.returncode, len(asked.requests)) == (65, 1)
    assert b"send a file" in done.stderr


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://h/",
        "scgi://127.0.0.1:1/",
        "fcgi://127.0.0.1:1/",
        "http://unix:/run/docker.sock:/containers",
        "http://user:pass@127.0.0.1:1/",
        "http://[::1",
        "http://:80/",
        "javascript:alert(1)",
    ],
)
def test_where_a_redirect_does_not_lead(location):
    with Server({"/": (302, location)}) as asked:
        done = call("-L", f"{asked.url}/")
        assert done.returncode == 47
        assert b"the redirect leads" in done.stderr
        assert b"Traceback" not in done.stderr
        done = call(f"{asked.url}/", "-w", "%{redirect_url}")
        assert done.returncode == 0


def test_round_and_round():
    with Server({"/": (302, "/")}) as asked:
        done = call("-L", f"{asked.url}/")
    assert done.returncode == 47
    assert b"more than 50 redirects" in done.stderr
    assert len(asked.requests) == 51
