"""The table of wire protocols, and what follows from it elsewhere."""

from __future__ import annotations

import pytest

from ssgi_gateway.cli.banner import nginx_line
from ssgi_gateway.observe import table
from ssgi_gateway.server.address import Address
from ssgi_gateway.server.codecs import CODECS
from ssgi_gateway.settings.schema import Settings
from ssgi_gateway.wire.protocols import PROTOCOLS, options


def test_each_has_a_codec_and_a_setting_and_counters():
    assert CODECS.keys() == PROTOCOLS.keys()
    assert PROTOCOLS.keys() <= Settings.FIELDS.keys()
    assert tuple(PROTOCOLS) == table.PROTOCOLS


def test_every_setting_of_addresses_is_one():
    with_address = {name for name, field in Settings.FIELDS.items() if field.metadata.get("metavar") == "ADDR"}
    assert with_address - {"status"} == PROTOCOLS.keys()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_each_has_a_line_for_nginx(name):
    assert nginx_line(name, Address.parse("127.0.0.1:9000")) == f"{PROTOCOLS[name].directive}127.0.0.1:9000;"


def test_options_are_a_sentence():
    assert options(["scgi"]) == "--scgi"
    assert options(["scgi", "http"]) == "--scgi or --http"
    assert options(["scgi", "fastcgi", "http"]) == "--scgi, --fastcgi or --http"
