"""Which hosts and addresses a URL may lead to: one of a client public ones, and nothing else; an account's
also those of the own network, but never a machine's own metadata.

The lists are the IANA special-purpose registries (RFC 6890 and its updates), read 2026-11-20, in a form of
their own: `ipaddress.is_global` differs between Python's versions. An IPv6 address must be global unicast
(2000::/3); that alone leaves out loopback, unique local, link-local, multicast, v4-mapped, v4-compatible
and both NAT64 prefixes. Of 2000::/3, what tunnels to a v4 address of the client's choice is refused (6to4,
Teredo)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's wire server: a public address that only a machine inside can reach
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
# Where clouds tell a machine of itself, credentials included: most in the link-local networks, Alibaba,
# Azure's wire server, AWS and GCP over IPv6. And what is no host at all.
_METADATA_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in ("169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "0.0.0.0/8", "224.0.0.0/3")
)
_METADATA_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("fe80::/10", "fd00:ec2::/32", "fd20:ce::254/128", "ff00::/8", "::/128")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_METADATA_NAMES = ("metadata", "metadata.google.internal", "metadata.goog", "instance-data")
# Names that no public zone has: those of the own machine, the own cluster or the own house.
_OWN_ZONES = ("localhost", "local", "internal", "lan", "intranet", "svc", "test", "home.arpa")
# A last label that some resolver takes for a number: `0x7f.1`, `2130706433`, `0177.0.0.1`, `127.1`.
_NUMERIC_END = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?$")
_HOST_NAME = re.compile(r"(?=.{1,253}\.?$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?)+", re.IGNORECASE)


class RefusedAddress(ValueError):
    """The URL leads, or may lead, where no client's URL may. `reason` is of a closed set: `spelling`,
    `scheme`, `address`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a URL leads: `host` in lower case without a dot at its end and without brackets."""

    scheme: str
    host: str
    port: int
    is_literal: bool


def is_public(address: str) -> bool:
    """True for an IP address that the whole internet may reach; False for any other, and for what is none."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _REFUSED_V4)
    return ip.scope_id is None and ip in _GLOBAL_V6 and not any(ip in network for network in _REFUSED_V6)


def is_metadata(address: str) -> bool:
    """True for an IP address that no account's host has: link-local, a cloud's metadata, no host at all."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        if inner is None:
            return any(ip in network for network in _METADATA_V6)
        ip = inner
    return any(ip in network for network in _METADATA_V4)


def refuse_account_host(url: str) -> None:
    """An account's credential may be sent there: by https to any host but a machine's metadata, in the clear
    only within the own network. By its words alone: what a name resolves to is asked when it is connected to.

    Raises RefusedAddress."""
    target = target_of(url)
    if is_metadata(target.host) or target.host in _METADATA_NAMES:
        raise RefusedAddress("address", "no account's host is a link-local or metadata address")
    if target.scheme == "http" and not _is_own(target):
        raise RefusedAddress(
            "scheme", "must be https: by http the credential would cross the internet in the clear"
        )


def _is_own(target: Target) -> bool:
    """Whether the host is of the own network: a private address, or a name that the internet has not."""
    if target.is_literal:
        return not is_public(target.host)
    return "." not in target.host or target.host.endswith(tuple(f".{zone}" for zone in _OWN_ZONES))


def target_of(url: str) -> Target:
    """Where the URL leads, by its words alone: a name must still be resolved and its addresses asked for.

    Raises RefusedAddress for another scheme than http and https, for credentials in the URL, and for a host
    that is neither a plain name nor one canonical IP address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise RefusedAddress("spelling", "the URL cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise RefusedAddress("scheme", "only http and https URLs are fetched")
    if "@" in parts.netloc or "\\" in url or re.search(r"[\x00-\x20\x7f]", url):
        raise RefusedAddress("spelling", "the URL holds credentials, blanks or backslashes")
    is_literal = _is_literal(host)
    if not is_literal and (_NUMERIC_END.search(host) or not _HOST_NAME.fullmatch(host)):
        raise RefusedAddress("spelling", "the URL's host is no plain name and no plain IP address")
    default_port = 443 if parts.scheme == "https" else 80
    return Target(
        scheme=parts.scheme, host=host.rstrip("."), port=port or default_port, is_literal=is_literal
    )


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
