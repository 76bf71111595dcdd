"""What the web server in front says of its client: who is believed, which word counts, what garbage does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.wire.forwarded import (
    MAX_HOPS,
    TrustedPeers,
    forwarded_variables,
    parse_forwarded,
    parse_node,
    trusted_peers,
)

FRONT = TrustedPeers(("127.0.0.1", "unix"))
CHAIN = TrustedPeers(("127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"))


def variables(trusted=FRONT, **headers):
    return forwarded_variables({name.replace("_", "-"): value for name, value in headers.items()}.get, trusted)


def client(trusted=FRONT, **headers):
    found = variables(trusted, **headers)
    return found["REMOTE_ADDR"], found["REMOTE_PORT"]


class TestTrustedPeers:
    @pytest.mark.parametrize(
        "address", ["127.0.0.1", "10.255.0.1", "2001:db8:1::5", "::ffff:127.0.0.1", "::ffff:10.1.1.1"]
    )
    def test_trusted(self, address):
        assert address in CHAIN

    @pytest.mark.parametrize("address", ["127.0.0.2", "11.0.0.1", "2001:db8:2::5", "::1", "", "garbage", "10.0.0.1:5"])
    def test_not_trusted(self, address):
        assert address not in CHAIN

    def test_unix_sockets(self):
        assert "" in FRONT
        assert "" not in TrustedPeers(())

    def test_a_network_may_be_written_with_one_of_its_addresses(self):
        assert "10.1.2.3" in TrustedPeers(("10.1.2.99/24",))

    def test_other_words(self):
        with pytest.raises(ConfigurationError, match="localhost"):
            TrustedPeers(("localhost",))

    def test_they_are_made_once(self):
        assert trusted_peers(("127.0.0.1",)) is trusted_peers(("127.0.0.1",))


class TestNode:
    @pytest.mark.parametrize(
        ("text", "node"),
        [
            ("1.2.3.4", ("1.2.3.4", "")),
            (" 1.2.3.4:5678 ", ("1.2.3.4", "5678")),
            ("2001:DB8::1", ("2001:db8::1", "")),
            ("[2001:db8::1]", ("2001:db8::1", "")),
            ("[2001:db8::1]:80", ("2001:db8::1", "80")),
            ("fe80::1%<script>", ("fe80::1", "")),
            ("1.2.3.4:99999", ("1.2.3.4", "")),
            ("1.2.3.4:_port", ("1.2.3.4", "")),
        ],
    )
    def test_node(self, text, node):
        assert parse_node(text) == node

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "unknown",
            "_hidden",
            "unix:",
            "unix:/run/x",
            "1.2.3",
            "[::1",
            "[::1]x",
            "host:80",
            "1.2.3.4\n5",
            "٣.1.1.1",
        ],
    )
    def test_unknown(self, text):
        assert parse_node(text) is None


class TestXForwarded:
    def test_nginx(self):
        found = variables(x_forwarded_for="203.0.113.9", x_forwarded_proto="https")
        assert found == {"REMOTE_ADDR": "203.0.113.9", "REMOTE_PORT": "", "REQUEST_SCHEME": "https", "HTTPS": "on"}

    def test_the_last_address_is_the_one_the_front_saw(self):
        assert client(x_forwarded_for="6.6.6.6, 203.0.113.9") == ("203.0.113.9", "")

    def test_servers_of_ours_are_passed_over(self):
        assert client(CHAIN, x_forwarded_for="6.6.6.6, 203.0.113.9, 10.0.0.1, 10.0.0.2") == ("203.0.113.9", "")
        assert client(CHAIN, x_forwarded_for="10.0.0.3, 10.0.0.1") == ("10.0.0.3", "")

    @pytest.mark.parametrize(
        "chain", ["203.0.113.9, unknown", "203.0.113.9, unix:, 10.0.0.1", "203.0.113.9,", "<script>"]
    )
    def test_an_unknown_client_is_not_another_one(self, chain):
        assert client(CHAIN, x_forwarded_for=chain) == ("", "")

    def test_host(self):
        found = variables(x_forwarded_host="example.com", x_forwarded_proto="https")
        assert found["HTTP_HOST"] == found["SERVER_NAME"] == "example.com"
        assert found["SERVER_PORT"] == "443"

    def test_host_with_port(self):
        found = variables(x_forwarded_host="inner.example, example.com:8443")
        assert found == {"HTTP_HOST": "example.com:8443", "SERVER_NAME": "example.com", "SERVER_PORT": "8443"}
        found = variables(x_forwarded_host="[2001:db8::1]:8443")
        assert found == {"HTTP_HOST": "[2001:db8::1]:8443", "SERVER_NAME": "[2001:db8::1]", "SERVER_PORT": "8443"}

    def test_host_that_is_a_bare_address(self):
        assert variables(x_forwarded_host="[::1]") == {"HTTP_HOST": "[::1]", "SERVER_NAME": "[::1]", "SERVER_PORT": ""}

    def test_port(self):
        assert variables(x_forwarded_port="8443") == {"SERVER_PORT": "8443"}
        assert variables(x_forwarded_host="example.com", x_forwarded_port="8443")["SERVER_PORT"] == "8443"

    @pytest.mark.parametrize("port", ["0", "65536", "-1", "abc", "٨", "080808"])
    def test_port_that_is_none(self, port):
        assert variables(x_forwarded_port=port) == {}

    @pytest.mark.parametrize("host", ['a<b>"', "a b", "example.com/", "user@example.com", "a:b:c", "", "a:99999"])
    def test_host_that_is_none(self, host):
        assert variables(x_forwarded_host=host, x_forwarded_proto="http") == {"REQUEST_SCHEME": "http", "HTTPS": ""}

    @pytest.mark.parametrize(
        ("proto", "scheme"), [("HTTPS", "https"), ("wss", "https"), ("ws", "http"), ("a, https", "https")]
    )
    def test_proto(self, proto, scheme):
        assert variables(x_forwarded_proto=proto)["REQUEST_SCHEME"] == scheme

    def test_proto_that_is_none(self):
        assert variables(x_forwarded_proto="gopher") == {}

    def test_it_stands_before_forwarded(self):
        """nginx sets the one and passes on what a client wrote into the other."""
        assert client(x_forwarded_for="203.0.113.9", forwarded="for=6.6.6.6") == ("203.0.113.9", "")


class TestForwarded:
    @pytest.mark.parametrize(
        ("value", "elements"),
        [
            ('for="_gazonk"', [{"for": "_gazonk"}]),
            ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
            (
                "for=192.0.2.60;proto=http;by=203.0.113.43",
                [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
            ),
            ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
            (r'for="a\"b"', [{"for": 'a"b'}]),
        ],
    )
    def test_rfc_7239_4(self, value, elements):
        assert parse_forwarded(value) == elements

    @pytest.mark.parametrize(
        "value",
        ["", "for", "for=a;for=b", 'for="a', "for=a,", "for=a b", ",", "=", 'for="a"b', "for=1.2.3.4\nproto=https"],
    )
    def test_malformed(self, value):
        assert parse_forwarded(value) == []
        assert variables(forwarded=value) == {}

    def test_the_last_element_is_the_fronts(self):
        assert client(forwarded="for=6.6.6.6, for=203.0.113.9") == ("203.0.113.9", "")

    def test_scheme_and_host_are_of_the_clients_hop(self):
        ours = "for=10.0.0.1;proto=http;host=inner"
        value = f'for=6.6.6.6;proto=http, for="203.0.113.9:5";proto=https;host=example.com, {ours}'
        assert variables(CHAIN, forwarded=value) == {
            "REMOTE_ADDR": "203.0.113.9",
            "REMOTE_PORT": "5",
            "REQUEST_SCHEME": "https",
            "HTTPS": "on",
            "HTTP_HOST": "example.com",
            "SERVER_NAME": "example.com",
            "SERVER_PORT": "443",
        }

    @pytest.mark.parametrize("value", ["for=unknown", 'for="_x"', "proto=https", "for=unix:"])
    def test_an_unknown_client(self, value):
        assert client(forwarded=value) == ("", "")


def test_without_fields_nothing_changes():
    assert variables() == {}
    assert variables(x_forwarded_for="", forwarded="") == {}


GARBAGE = st.text(alphabet=st.characters(max_codepoint=255), max_size=40) | st.text(
    alphabet='for=,;"[]:. 1\\', max_size=30
)


@given(st.dictionaries(st.sampled_from(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
                                        "forwarded"]), GARBAGE))  # fmt: skip
def test_garbage_is_never_an_error_and_never_more_than_latin_1(headers):
    found = forwarded_variables(headers.get, CHAIN)
    for value in found.values():
        value.encode("latin-1")
    assert not any("\n" in value or '"' in value for value in found.values())


class TestLongLists:
    """A client may write as much as nginx lets it: what is read is bounded by the servers that are trusted."""

    def test_the_right_end_of_a_long_list_counts(self):
        header = {"x-forwarded-for": "1," * 50_000 + "203.0.113.9"}.get
        changes = forwarded_variables(header, trusted_peers(("127.0.0.1",)))
        assert (changes["REMOTE_ADDR"], changes["REMOTE_PORT"]) == ("203.0.113.9", "")

    def test_no_more_than_so_many_servers_in_a_row_are_believed(self):
        header = {"x-forwarded-for": ", ".join(["203.0.113.9", *["127.0.0.1"] * MAX_HOPS])}.get
        assert forwarded_variables(header, trusted_peers(("127.0.0.1",)))["REMOTE_ADDR"] == "127.0.0.1"
        header = {"x-forwarded-for": ", ".join(["203.0.113.9", *["127.0.0.1"] * (MAX_HOPS - 1)])}.get
        assert forwarded_variables(header, trusted_peers(("127.0.0.1",)))["REMOTE_ADDR"] == "203.0.113.9"

    def test_a_forwarded_that_no_chain_of_servers_makes_is_not_read(self):
        assert parse_forwarded("for=1.2.3.4," * 1000) == []


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x1f", "\x0b"])
def test_only_space_and_tab_are_white_space(space):
    assert parse_node(f"1.2.3.4{space}") is None
    assert parse_node(" 1.2.3.4\t") == ("1.2.3.4", "")
