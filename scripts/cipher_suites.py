"""Writes ``ssgi_gateway/adapters/asgi/cipher_suites.py``: the numbers of cipher suites, under both of their names.

OpenSSL says them: ``openssl ciphers -V -stdname``. Those that Go serves and that OpenSSL is mostly built without are
from the registry, https://www.iana.org/assignments/tls-parameters.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "ssgi_gateway" / "adapters" / "asgi" / "cipher_suites.py"

# Go's crypto/tls has these (Caddy): number, IANA's name, OpenSSL's.
BESIDES = (
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA", "RC4-SHA"),
    (0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES-CBC3-SHA"),
    (0xC007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", "ECDHE-ECDSA-RC4-SHA"),
    (0xC011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA", "ECDHE-RSA-RC4-SHA"),
    (0xC012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "ECDHE-RSA-DES-CBC3-SHA"),
    # OpenSSL 3.4 can have these.
    (0xC0B4, "TLS_SHA256_SHA256", "TLS_SHA256_SHA256"),
    (0xC0B5, "TLS_SHA384_SHA384", "TLS_SHA384_SHA384"),
)

HEAD = '''"""The numbers of TLS cipher suites in IANA's registry, under both of their names.

Web servers with OpenSSL (nginx, Apache, lighttpd, HAProxy) use OpenSSL's names, those in Go (Caddy) IANA's. Generated
by ``scripts/cipher_suites.py``.
"""

from typing import Final

__all__ = ["NUMBERS"]

_TABLE: Final = """
'''

TAIL = '''"""
"""Number, IANA's name, OpenSSL's."""

NUMBERS: Final = {
    name: int(number, 16) for number, *names in map(str.split, _TABLE.strip().splitlines()) for name in names
}
'''


def suites() -> list[tuple[int, str, str]]:
    """Number, IANA's name and OpenSSL's of every suite that this machine's OpenSSL has."""
    command = ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL@SECLEVEL=0"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"0x(\w\w),0x(\w\w) - (\S+) +- (\S+)", said)
    return [(int(high + low, 16), iana, openssl) for high, low, iana, openssl in found]


def text() -> str:
    """What the module is to be."""
    rows = sorted({*suites(), *BESIDES})
    return HEAD + "".join(f"{number:04x} {iana} {openssl}\n" for number, iana, openssl in rows) + TAIL


if __name__ == "__main__":
    TARGET.write_text(text())
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}\n")
