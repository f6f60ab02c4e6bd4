"""Addresses of clients: that of the connection, or what trusted proxies say of it. None is kept, and none is logged.

An address is 16 bytes, an IPv4 one as its IPv6 form (RFC 4291, 2.5.5.2), so that both are compared alike; b"" is the
address that isn't known.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_pton

from inlive_banner.exceptions import ConfigurationError

__all__ = ["Networks", "client_address", "parse_address"]

_MAPPED = bytes(10) + b"\xff\xff"
_MAPPED_BITS = 96


class Networks:
    """Addresses and networks, as a setting names them."""

    __slots__ = ("_hosts", "_names", "_wide")

    def __init__(self, texts: Iterable[str], *, setting: str = "") -> None:
        """Read addresses and CIDRs, such as `10.0.0.0/8`. Raises `ConfigurationError`, naming the setting."""
        hosts = set()
        names = set()
        wide = []
        for text in texts:
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError as error:
                raise ConfigurationError(
                    f"{setting} has {text!r}, which is neither an address nor a network, such as 10.0.0.0/8."
                ) from error
            first = network.network_address.packed
            prefix_bits = network.prefixlen
            if network.version == 4:
                first, prefix_bits = _MAPPED + first, _MAPPED_BITS + prefix_bits
            if prefix_bits == 128:
                hosts.add(first)
                names.add(str(network.network_address))
            else:
                wide.append((128 - prefix_bits, int.from_bytes(first) >> (128 - prefix_bits)))
        self._hosts = frozenset(hosts)
        self._names = frozenset(names)
        self._wide = tuple(wide)

    def __bool__(self) -> bool:
        return bool(self._hosts or self._wide)

    def __contains__(self, address: bytes) -> bool:
        if address in self._hosts:
            return True
        if not self._wide or not address:
            return False
        number = int.from_bytes(address)
        return any(number >> shift == prefix for shift, prefix in self._wide)

    def has_name(self, text: str) -> bool:
        """Whether a text names one of the addresses. Most often, that of the proxy next door, without reading it."""
        return text in self._names or parse_address(text) in self


def parse_address(text: str) -> bytes:
    """The address that a text names; b"" where it names none. Never raises."""
    try:
        if ":" not in text:
            return _MAPPED + inet_pton(AF_INET, text)
        return inet_pton(AF_INET6, text.partition("%")[0])  # "%eth0" is of the machine, not of the address
    except (OSError, ValueError):
        return b""


def client_address(peer: str, forwarded_for: str, trusted: Networks, *, believe: bool = False) -> bytes:
    """Whose request it is: the peer's, or where a trusted proxy has passed it on, whom that names. Never raises.

    Each proxy appends whom it had the request from, so `X-Forwarded-For` is read from the right, up to the first
    address that isn't a trusted proxy's: what stands left of it, anybody may have written. `believe` takes the header
    whoever the peer is, and never the peer's own address.
    """
    if not believe and not (forwarded_for and trusted.has_name(peer)):
        return parse_address(peer)
    rest, address = forwarded_for, b""
    while rest:
        rest, _, entry = rest.rpartition(",")
        address = parse_address(entry) or _read_entry(entry)
        if address not in trusted:
            break
    return address


def _read_entry(entry: str) -> bytes:
    """There may be spaces, and some proxies write the port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    entry = entry.strip()
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    return parse_address(entry)
