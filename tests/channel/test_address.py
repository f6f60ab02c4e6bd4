"""Whose address a request is from, and whom that is believed of."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inlive_banner.channel.address import Networks, client_address, parse_address
from inlive_banner.exceptions import ConfigurationError

TRUSTED = Networks(["127.0.0.1", "::1", "10.0.0.0/8", "2001:db8:1::/48"])
VISITOR = "203.0.113.7"


@given(st.ip_addresses().map(str) | st.text(max_size=12) | st.from_regex(r"[0-9.:a-f%]{1,20}", fullmatch=True))
@example("01.2.3.4")
@example("1.2.3")
@example("::ffff:1.2.3.4")
@example("1.2.3.4\0")
@example("\ud800")
def test_address_is_read_where_pythons_own_module_reads_one(text: str):
    try:
        address = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        assert parse_address(text) == b""
        return
    expected = address if address.version == 6 else ipaddress.ip_address(f"::ffff:{address}")
    assert parse_address(text) == expected.packed


def test_address_of_ipv4_is_the_same_however_it_is_written():
    assert parse_address("192.0.2.1") == parse_address("::ffff:192.0.2.1") == parse_address("::FFFF:c000:201")


@given(st.ip_addresses(), st.data())
def test_networks_have_the_addresses_that_pythons_own_have(address: ipaddress.IPv4Address, data: st.DataObject):
    prefix = data.draw(st.integers(0, address.max_prefixlen))
    network = ipaddress.ip_network((address, prefix), strict=False)
    other = data.draw(st.ip_addresses(v=address.version) | st.just(address))

    assert (parse_address(str(other)) in Networks([str(network)])) == (other in network)


def test_networks_of_one_kind_have_no_address_of_the_other():
    assert parse_address("::1") not in Networks(["0.0.0.0/0"])
    assert parse_address("10.1.2.3") in Networks(["::ffff:10.0.0.0/104"])
    assert b"" not in Networks(["::/0", "0.0.0.0/0"])


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/40", "", "1.2.3.4.5"])
def test_networks_of_something_else_are_refused_with_the_settings_name(text: str):
    with pytest.raises(ConfigurationError, match=rf"OWN_ADDRESSES has {text!r}"):
        Networks(["192.0.2.1", text], setting="OWN_ADDRESSES")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        # Nobody is believed but a trusted proxy.
        (VISITOR, "", VISITOR),
        (VISITOR, "192.0.2.1", VISITOR),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("::1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.3.2.1", "2001:db8::7", "2001:db8::7"),
        # The right-most that isn't trusted: what stands left of it, the visitor may have sent.
        ("127.0.0.1", "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "6.6.6.6,192.0.2.1 , 10.0.0.1,10.0.0.2", "192.0.2.1"),
        ("127.0.0.1", "nonsense, 192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1, 2001:db8:1::5", "192.0.2.1"),
        # All are trusted: somebody within.
        ("127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        # With a port.
        ("127.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("127.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        # A trusted proxy that doesn't say: not known, rather than the proxy or what stands left of it.
        ("127.0.0.1", "192.0.2.1, unknown", ""),
        ("127.0.0.1", "192.0.2.1,", ""),
        ("127.0.0.1", "192.0.2.1, \xff", ""),
        ("127.0.0.1", ",,,", ""),
        # No address at all.
        ("", "192.0.2.1", ""),
        ("unix:", "192.0.2.1", ""),
    ],
)  # fmt: skip
def test_client_address(peer: str, forwarded_for: str, expected: str):
    assert client_address(peer, forwarded_for, TRUSTED) == parse_address(expected)


@pytest.mark.parametrize(
    ("forwarded_for", "expected"), [("192.0.2.1", "192.0.2.1"), ("192.0.2.1, 10.0.0.1", "192.0.2.1"), ("", "")]
)
def test_client_address_of_a_service_is_the_headers_whoever_the_peer_is(forwarded_for: str, expected: str):
    for peer in (VISITOR, "127.0.0.1", ""):
        assert client_address(peer, forwarded_for, TRUSTED, believe=True) == parse_address(expected)


@given(st.text(), st.text() | st.lists(st.ip_addresses().map(str) | st.text(max_size=5)).map(",".join), st.booleans())
def test_client_address_never_raises(peer: str, forwarded_for: str, believe: bool):
    assert len(client_address(peer, forwarded_for, TRUSTED, believe=believe)) in (0, 16)
