"""`call` where something is wrong: curl's exit status, and a sentence that says what to do.

It runs in this process, which is twenty times faster; that the command does is in `test_call`.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import struct
import tempfile
import threading
from pathlib import Path

import pytest
from wsproto.utilities import generate_accept_token

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.tools.call.command import call
from tests.acgi.test_messages import record
from tests.acgi.threaded import ThreadedPeer

ENDED = record(3, bytes(8))


class Peer(ThreadedPeer):
    """Takes connections, reads a little, says this and closes; or resets, or stays silent."""

    def __init__(self, said, end="close"):
        self.said, self.end = said, end
        self.held = []
        super().__init__()

    def handle(self, connection):
        connection.recv(65536)
        connection.sendall(self.said)
        if self.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.end == "silence":
            self.held.append(connection)
        else:
            connection.close()

    def __exit__(self, *error):
        super().__exit__(*error)
        for one in self.held:
            one.close()


class Greeting(ThreadedPeer):
    """Opens a WebSocket, greets and closes it, all at once."""

    def handle(self, connection):
        with connection:
            asked = b""
            while not (key := re.search(rb"(?i)sec.websocket.key(?:: |\0)([\w+/]+==)", asked)):
                asked += connection.recv(65536)
            first = b"Status: 101" if b"SCGI" in asked else b"HTTP/1.1 101"
            head = b"%s X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
            connection.sendall(head % (first, generate_accept_token(key[1])) + b"\x81\x05hello\x88\x02\x03\xe8")
            while connection.recv(65536):
                pass


@pytest.fixture
def run(capfd):
    """Call; gives the status, standard output and standard error."""

    def run(*words):
        status = call([str(word) for word in words])
        return status, *capfd.readouterr()

    return run


def where(protocol, address):
    """The words for a peer, and what is asked of it."""
    return [f"{protocol}://{address}/"] if protocol.startswith("http") else [f"--{protocol}", address, "/"]


NOTHING = b""
PLAIN = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
ALERT = b"\x15\x03\x01\x00\x02\x02\x46"
CGI = b"Status: 200 OK\r\n\r\nhello"
RECORDS = record(6, CGI) + ENDED


@pytest.mark.parametrize(
    ("protocol", "said", "status", "words"),
    [
        ("scgi", NOTHING, 52, "without an answer; the server's log may say why"),
        ("fastcgi", NOTHING, 52, "without END_REQUEST; the server's log may say why"),
        ("http", NOTHING, 52, "before its answer was complete; the server's log"),
        ("https", NOTHING, 35, "closed the connection during the handshake; does it speak TLS here?"),
        ("scgi", PLAIN, 0, "warning: the answer begins as HTTP does. If"),
        ("fastcgi", PLAIN, 56, "it speaks HTTP: write http://"),
        ("https", PLAIN, 35, "it http:// and not https://?"),
        ("scgi", ALERT, 56, "it speaks TLS: write https://"),
        ("fastcgi", ALERT, 56, "it speaks TLS: write https://"),
        ("http", ALERT, 56, "it speaks TLS: write https://"),
        ("fastcgi", CGI, 56, "it speaks SCGI or FastCGI: write scgi://"),
        ("http", CGI, 56, "it speaks SCGI or FastCGI: write scgi://"),
        ("scgi", RECORDS, 56, "it speaks FastCGI: write fcgi://"),
        ("http", RECORDS, 56, "it speaks FastCGI: write fcgi://"),
        ("scgi", b"SSH-2.0-x\r\n", 56, "it speaks SSH; is it another port?"),
        ("scgi", b"\0\1 garbage\n\n", 56, "is no header line"),
        ("http", b"\0\1 garbage\n\n", 56, "this is no HTTP/1 answer"),
        ("scgi", CGI[:8], 56, "within the head of its answer: b'Status: '"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Le", 56, "before its answer was complete"),
        ("http", b"HTTP/1.1 200 OK\nA: b\n\nhello", 56, "end in LF alone"),
        ("http", b"HTTP/1.1 200 OK\nA: b\n\r\nhello", 56, "end in LF alone"),
        ("fastcgi", record(7, b"no app\n") + ENDED, 56, "! no app\nssgi-gateway: call: the server ended"),
        ("fastcgi", record(7, b"no app\n"), 56, "! no app\nssgi-gateway: call: the application closed"),
        ("fastcgi", record(6, CGI)[:12], 56, "without END_REQUEST"),
        ("fastcgi", record(6, CGI), 18, "without END_REQUEST"),
        ("fastcgi", record(6, CGI) + ENDED[:9], 18, "without END_REQUEST"),
        ("scgi", b"Content-Length: 9\r\n\r\nhello", 18, "4 bytes shorter than its Content-Length"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 18, "4 bytes before the body's end"),
        ("http", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 18, "before the last chunk"),
        ("http", b"HTTP/1.1 101 Other\r\nUpgrade: x\r\n\r\n", 56, "101 without"),
    ],
)
def test_what_a_peer_may_say(run, protocol, said, status, words):
    with Peer(said) as peer:
        ended, _, shown = run(*where(protocol, peer.address))
    assert (ended, words in shown) == (status, True), shown


@pytest.mark.parametrize("protocol", ["scgi", "websocket", "http"])
def test_a_message_that_comes_with_the_handshake(run, protocol):
    with Greeting() as peer:
        assert run(*where(protocol, peer.address), "--ws") == (0, "hello\n", "")


@pytest.mark.parametrize(("protocol", "status"), [("scgi", 56), ("fastcgi", 56), ("http", 56), ("https", 35)])
def test_a_peer_that_resets(run, protocol, status):
    with Peer(b"", "reset") as peer:
        ended, _, shown = run(*where(protocol, peer.address))
    assert ended == status
    assert "closed the connection" in shown


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi", "http", "https"])
def test_a_silent_peer(run, protocol):
    with Peer(b"", "silence") as peer:
        ended, _, shown = run(*where(protocol, peer.address), "-m", "0.2")
    assert (ended, "within 0.2 s (-m)" in shown) == (28, True), shown


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        (None, 28, "within"),
        (NOTHING, 56, "it does not know FCGI_GET_VALUES"),
        (PLAIN, 56, "it speaks HTTP: write http://"),
        (record(11, b"\x09" + bytes(7), 0), 56, "it does not know FCGI_GET_VALUES"),
        (record(10, b"\x0e\x05FCGI_MAX", 0), 56, "the name-value pairs of its FCGI_GET_VALUES_RESULT are broken"),
    ],
)
def test_what_a_probe_may_meet(run, said, status, words):
    with Peer(said or b"", "silence" if said is None else "close") as peer:
        ended, _, shown = run("--fastcgi", peer.address, "--probe", "-m", "0.2" if said is None else "30")
    assert (ended, words in shown) == (status, True), shown


def test_the_time_to_connect_is_not_the_time_to_answer(run):
    """Without `-m` an answer may take as long as it takes."""

    def serve():
        connection, _ = listener.accept()
        connection.recv(65536)
        slow.wait(0.3)
        connection.sendall(CGI)
        connection.close()

    slow = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        ended, out, shown = run(*where("scgi", f"127.0.0.1:{listener.getsockname()[1]}"), "--connect-timeout", "0.1")
        thread.join()
    assert (ended, out) == (0, "hello"), shown


# -- nobody ------------------------------------------------------------------------------------------------------------


def test_paths_where_nobody_listens(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # short paths for sockets
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("./dead")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind("./datagrams")
        for path, words in (
            ("none", "there is no such socket; is the gateway running?"),
            ("dead", "no process listens on it; the gateway has ended"),
            ("file", "file is no socket; write the path that the gateway was given"),
            (".", "is no socket"),
            ("file/socket", "/file/socket is no socket"),
            ("datagrams", "Protocol wrong type for socket"),
        ):
            ended, _, shown = run("--scgi", f"unix:./{path}", "/")
            assert (ended, words in shown) == (7, True), shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_gateway_that_accepts_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind("full.sock")
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect("full.sock")
        status, _, shown = run("--scgi", "unix:full.sock", "/")
    assert (status, "its backlog is full" in shown) == (7, True), shown


def test_a_socket_that_may_not_be_used(run, monkeypatch):
    """By another user: root may write to everything."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "s"
        listener.bind(str(path))
        listener.listen()
        path.parent.chmod(0o755)
        path.chmod(0o600)
        run("--scgi", f"unix:{path}-none", "/")  # loads what it needs; the other user cannot read it
        os.seteuid(65534)
        try:
            ended, _, shown = run("--scgi", f"unix:{path}", "/")
        finally:
            os.seteuid(0)
    assert ended == 7
    assert f"this user may not write to {path}; see --socket-mode, --socket-owner" in shown


def test_a_port_where_nobody_listens(run):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        ended, _, shown = run("--fastcgi", f"127.0.0.1:{bound.getsockname()[1]}", "/")
    assert ended == 7
    assert "nothing listens there; is the server running, and on this port?" in shown


@pytest.mark.parametrize("front", [[], ["--front", "nginx"]])
def test_a_path_that_scgi_cannot_carry(run, front):
    ended, out, shown = run("--scgi", ":1", "/a%00HTTPS%00on", "--dry-run", *front)
    assert (ended, out) == (3, "")
    assert "a NUL in the path (%00)" in shown


def test_a_name_that_there_is_not(run):
    ended, _, shown = run("http://no-such-host.invalid/")
    assert ended == 6
    assert "no address for no-such-host.invalid" in shown


@pytest.mark.parametrize(
    ("said", "goodbye", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nhello", True, 0),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", False, 18),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, 0),
        (b"HTTP/1.1 200 OK\r\nContent-", False, 56),
        (b"", False, 52),
    ],
)
def test_an_answer_that_ends_with_tls(run, certificate, said, goodbye, status):
    """Without close_notify whoever is between may have cut it (RFC 9112 9.8)."""

    def serve():
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=True) as secured:
            secured.recv(65536)
            secured.sendall(said)
            if goodbye:
                with contextlib.suppress(OSError):  # the client does not say it back
                    secured.unwrap().close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        ended, out, shown = run(f"https://127.0.0.1:{listener.getsockname()[1]}/", "-k")
        thread.join()
    assert (ended, out) == (status, "hello" if b"hello" in said else ""), shown
    assert ("without a close_notify" in shown) == (status > 0)


def test_certificates_that_cannot_be_read(run, tmp_path):
    with Peer(b"") as peer:
        ended, _, shown = run(f"https://{peer.address}/", "--cacert", tmp_path / "none")
    assert ended == 77
    assert "cannot use --cacert" in shown


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--conect-timeout", "1"], "did you mean --connect-timeout?"),
        (["--parm", "A=b"], "did you mean --param?"),
        (["--headers", "A: b"], "did you mean --header"),
        (["-c", "jar"], "-b 'NAME=VALUE' sends cookies"),
        (["--cookie-jar=jar"], "-b 'NAME=VALUE' sends cookies"),
        (["-sx", "proxy:1"], "there are no proxies here"),
        (["-vq"], "unrecognized arguments: -q;"),
        (["-u", "name"], "-u wants USER:PASSWORD"),
        (["-b", "file"], "files of cookies are not read"),
        (["-x", "proxy:1"], "there are no proxies here"),
        (["--http2"], "speaks HTTP/2"),
        (["--resolve", "a:1:b"], "--unix-socket"),
        (["-I", "-d", "x"], "-I asks for a head, and -d, -F, -T send a body"),
        (["-I", "-T", "-"], "-I asks for a head, and -d, -F, -T send a body"),
        (["-m", "soon"], "'soon' is no number of seconds; write 2 or 0.5"),
        (["--connect-timeout", "-1"], "'-1' is no number of seconds"),
        (["-m", "nan"], "'nan' is no number of seconds"),
        (["-T", "-", "-d", "x"], "one of -d, -F and -T"),
        (["-F", "a=b", "-d", "x"], "one of -d, -F and -T"),
        (["--dry-run", "--ws"], "--dry-run prints one request"),
        (["--dry-run", "--keep", "3"], "--dry-run prints one request"),
        (["--ws", "-d", "x"], "a WebSocket has no body; lines of standard input are messages"),
        (["/second"], "unrecognized arguments: /second"),
    ],
)
def test_options_that_cannot_be_used(words, advice):
    with pytest.raises(ConfigurationError) as raised:
        call(["--scgi", ":1", "/", *words])
    assert advice in str(raised.value)
    assert "--help" in str(raised.value) or words[0] in ("-I", "-b", "-u", "-F", "-T", "--dry-run", "--ws")
