"""Whom the client trusts, how it says who it is, and when it goes through a proxy."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess

import pytest

from ssgi_gateway import client
from ssgi_gateway.errors import ConfigurationError
from tests.acgi.servers import handlers_ended
from tests.acgi.test_messages import OK, answering, run, serving


class Secured:
    """A TLS server that answers each request with 200; it may want to see a certificate."""

    def __init__(self, certificate, wants=None, protocols=(), most=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        if protocols:
            self.context.set_alpn_protocols(list(protocols))
        if wants is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(wants)
        if most is not None:
            self.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            self.context.maximum_version = most
            self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.seen = []

    async def handle(self, reader, writer):
        self.seen.append(writer.get_extra_info("ssl_object"))
        try:
            await answering(OK)(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.handle, "127.0.0.1", 0, ssl=self.context)
        return f"https://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/"

    async def __aexit__(self, *_):
        await handlers_ended()
        self.server.close()


def test_a_certificate_of_the_clients_own(certificate):
    cert, key = map(str, certificate)

    async def main():
        async with Secured(certificate, wants=cert) as url:
            async with client.Client(tls=client.TLS(ca=cert, cert=cert, key=key)) as c:
                assert (await c.request("GET", url)).status == 200
            async with client.Client(tls=client.TLS(ca=cert)) as c:
                with pytest.raises(client.ClientError):
                    await (await c.request("GET", url)).read()
                assert c.pool.open == 0

    run(main())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_trusted_certificates_in_a_folder(certificate, tmp_path):
    shutil.copy(certificate[0], tmp_path / "one.pem")
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, capture_output=True)

    async def main():
        async with Secured(certificate) as url, client.Client(tls=client.TLS(ca=str(tmp_path))) as c:
            assert (await c.request("GET", url)).status == 200

    run(main())


def test_a_context_of_the_users(certificate):
    context = ssl.create_default_context(cafile=str(certificate[0]))

    async def main():
        server = Secured(certificate, protocols=["http/1.1"])
        async with server as url, client.Client(tls=client.TLS(context=context)) as c:
            assert (await c.request("GET", url)).http_version == "1.1"
            assert server.seen[0].selected_alpn_protocol() == "http/1.1"

    run(main())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_nothing_older_than_tls_1_2(certificate):
    async def main():
        server = Secured(certificate, most=ssl.TLSVersion.TLSv1_1)
        async with server as url, client.Client(tls=client.TLS(ca=str(certificate[0]))) as c:
            with pytest.raises(client.ConnectError, match="TLS") as raised:
                await c.request("GET", url)
            assert raised.value.reason == "tls"

    run(main())


@pytest.mark.parametrize("options", [{"ca": "/nowhere/ca.pem"}, {"cert": "/nowhere/cert.pem"}])
def test_files_that_cannot_be_used(options):
    async def main():
        async with serving(answering()) as address, client.Client(tls=client.TLS(**options)) as c:
            with pytest.raises(ConfigurationError, match="/nowhere/"):
                await c.request("GET", f"https://{address}/")
            assert c.pool.open == 0

    run(main())


def test_to_trust_anybody_warns_once(certificate):
    async def main():
        async with Secured(certificate) as url, client.Client(tls=client.TLS(verify=False)) as c:
            with pytest.warns(UserWarning, match="anybody may answer"):
                assert (await c.request("GET", url)).status == 200
            next(iter(c.pool.busy or c.pool.idle)).close()
            assert (await c.request("GET", url)).status == 200  # a further connection, and no further warning

    run(main())


def test_the_environment_names_a_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    async def main():
        heads, direct = [], []
        async with serving(answering(OK, OK, heads=heads)) as proxy, serving(answering(OK, heads=direct)) as address:
            monkeypatch.setenv("http_proxy", f"http://me:se%20cret@{proxy}")
            async with client.Client(trust_env=True) as c:
                assert (await c.request("GET", "http://name.invalid/a?b")).status == 200
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            async with client.Client(trust_env=True) as c:
                assert (await c.request("GET", f"http://{address}/")).status == 200
            monkeypatch.delenv("no_proxy")
            async with client.Client() as c:
                assert (await c.request("GET", f"http://{address}/")).status == 200
            # `all_proxy` holds for what has no proxy of its own; `no_proxy` may name a port.
            monkeypatch.setenv("all_proxy", f"http://{proxy}")
            monkeypatch.setenv("no_proxy", address)
            monkeypatch.delenv("http_proxy")
            async with client.Client(trust_env=True) as c:
                assert (await c.request("GET", f"http://{address}/")).status == 200
                assert (await c.request("GET", "http://127.0.0.1:1/")).status == 200
        head, other = heads
        assert other.startswith(b"GET http://127.0.0.1:1/ ")
        assert head.startswith(b"GET http://name.invalid/a?b HTTP/1.1\r\nhost: name.invalid\r\n")
        assert b"proxy-authorization: Basic bWU6c2UgY3JldA==\r\n" in head
        assert len(direct) == 3
        assert all(b"proxy-authorization" not in head for head in direct)

    run(main())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
        (b"SSH-2.0\r\n", "no HTTP/1 answer"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 Fine\r\n\r\nHTTP/1.1", "TLS"),
    ],
)
def test_a_proxy_that_opens_no_tunnel(answer, words):
    async def main():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.write_eof()
            await reader.read()

        async with serving(handle) as proxy, client.Client(proxy=f"http://{proxy}") as c:
            with pytest.raises(client.ConnectError, match=words):
                await c.request("GET", "https://name.invalid/")
            assert c.pool.open == 0

    run(main())
