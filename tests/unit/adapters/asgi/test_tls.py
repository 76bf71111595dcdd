"""ASGI's TLS extension, from what nginx and Apache say of a connection."""

from __future__ import annotations

import re
import subprocess
from urllib.parse import quote

import pytest

from ssgi_gateway.adapters.asgi.tls import cipher_suite, tls_extension

PEM = "-----BEGIN CERTIFICATE-----\nMIIB+w==\n-----END CERTIFICATE-----\n"


def extension(**variables):
    return tls_extension({"SSL_PROTOCOL": "TLSv1.2", **variables}.get)


def test_nothing_is_shown_without_a_protocol():
    assert tls_extension({}.get) is None
    assert tls_extension({"SSL_PROTOCOL": "", "SSL_CIPHER": "x"}.get) is None


@pytest.mark.parametrize(
    ("protocol", "number"), [("TLSv1.3", 0x0304), ("TLSv1.2", 0x0303), ("TLSv1", 0x0301), ("QUICv9", None)]
)
def test_the_version(protocol, number):
    assert extension(SSL_PROTOCOL=protocol)["tls_version"] == number


@pytest.mark.parametrize(
    ("name", "number"),
    [
        # The registry: https://www.iana.org/assignments/tls-parameters
        ("TLS_AES_128_GCM_SHA256", 0x1301),
        ("TLS_CHACHA20_POLY1305_SHA256", 0x1303),
        ("ECDHE-RSA-AES128-GCM-SHA256", 0xC02F),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", 0xC02C),
        # IANA's names, as Caddy has them with TLS 1.2 as well.
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xC02F),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xCCA9),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", 0x000A),
        ("", None),
        ("NOT-A-CIPHER", None),
    ],
)
def test_the_cipher_suite(name, number):
    assert cipher_suite(name) == number
    assert extension(SSL_CIPHER=name)["cipher_suite"] == number


def test_the_table_of_cipher_suites_is_openssls():
    command = ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL@SECLEVEL=0"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = re.findall(r"0x(\w\w),0x(\w\w) - (\S+) +- (\S+)", said)
    assert len(rows) > 50
    for high, low, iana, openssl in rows:
        assert (cipher_suite(iana), cipher_suite(openssl)) == (int(high + low, 16),) * 2


@pytest.mark.parametrize(
    ("verify", "error"),
    [
        ("SUCCESS", None),
        ("NONE", None),
        ("", None),
        ("FAILED:certificate has expired", "certificate has expired"),
        ("FAILED", "not verified"),
    ],
)
def test_the_clients_verification(verify, error):
    assert extension(SSL_CLIENT_VERIFY=verify)["client_cert_error"] == error


@pytest.mark.parametrize(
    "said",
    [PEM, quote(PEM), PEM.replace("\n", "\n\t").rstrip("\t")],
    ids=["as it is", "$ssl_client_escaped_cert", "$ssl_client_cert"],
)
def test_the_clients_certificate(said):
    told = extension(SSL_CLIENT_CERT=said, SSL_CLIENT_S_DN="CN=me", SSL_SERVER_CERT=PEM)
    assert told["client_cert_chain"] == [PEM]
    assert told["client_cert_name"] == "CN=me"
    assert told["server_cert"] == PEM
