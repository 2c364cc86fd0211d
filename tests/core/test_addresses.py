"""Where a client's URL may lead, as tables."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.addresses import RefusedAddress, is_metadata, is_public, refuse_account_host, target_of

PRIVATE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1"),
    *("64:ff9b:1::a00:1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    *("2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:7f00:1::", "3fff::1", "100::1"),
    *("2606:4700:4700::1111%eth0", "not an address", ""),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::8a"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_the_open_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_private_or_local(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved:
        assert not is_public(str(ip))


@given(st.ip_addresses(v=4))
def test_no_v4_address_is_public_when_it_is_wrapped_in_a_v6_one(ip: ipaddress.IPv4Address) -> None:
    number = int(ip)
    wrapped = [0xFFFF << 32 | number, number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80]
    assert not any(is_public(str(ipaddress.IPv6Address(value))) for value in wrapped)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("http://0x7f.1/", "spelling", id="hexadecimal, short"),
        pytest.param("http://0x7f000001/", "spelling", id="one hexadecimal number"),
        pytest.param("http://2130706433/", "spelling", id="one decimal number"),
        pytest.param("http://0177.0.0.1/", "spelling", id="octal"),
        pytest.param("http://127.1/", "spelling", id="two parts"),
        pytest.param("http://127.0.0.1.:80/", "spelling", id="a dot after an address"),
        pytest.param("http://1.1.1.256/", "spelling", id="a part too large"),
        pytest.param("http://foo.0x1/", "spelling", id="a name that ends like a number"),
        pytest.param("http://１２７.０.０.１/", "spelling", id="full-width digits"),
        pytest.param("http://①②⑦.⓪.⓪.①/", "spelling", id="circled digits"),
        pytest.param("http://loc%61lhost/", "spelling", id="percent signs"),
        pytest.param("http://user@example.com/", "spelling", id="a user"),
        pytest.param("http://example.com@127.0.0.1/", "spelling", id="a host as user"),
        pytest.param("http://example.com\\@127.0.0.1/", "spelling", id="a backslash"),
        pytest.param("http://exa mple.com/", "spelling", id="a blank"),
        pytest.param("http://example.com/\r\nHost: x", "spelling", id="a line end"),
        pytest.param("http:///path", "spelling", id="no host"),
        pytest.param("http://[::1", "spelling", id="an open bracket"),
        pytest.param("http://example.com:99999/", "spelling", id="a port too large"),
        pytest.param("http://-a.example/", "spelling", id="a hyphen first"),
        pytest.param("http://a..b/", "spelling", id="an empty label"),
        pytest.param("file:///etc/passwd", "scheme", id="a file"),
        pytest.param("gopher://127.0.0.1/", "scheme", id="gopher"),
        pytest.param("//127.0.0.1/", "scheme", id="no scheme"),
    ],
)
def test_what_is_no_plain_url_is_refused_by_its_words(url: str, reason: str) -> None:
    with pytest.raises(RefusedAddress) as caught:
        target_of(url)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("url", "host", "port", "is_literal"),
    [
        ("https://Example.COM/a.png", "example.com", 443, False),
        ("http://example.com:8081/", "example.com", 8081, False),
        ("http://localhost./", "localhost", 80, False),
        ("http://xn--bcher-kva.example/", "xn--bcher-kva.example", 80, False),
        ("http://1.1.1.1/", "1.1.1.1", 80, True),
        ("http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", 80, True),
    ],
)
def test_a_plain_url_tells_its_host_and_port(url: str, host: str, port: int, is_literal: bool) -> None:
    target = target_of(url)
    assert (target.host, target.port, target.is_literal) == (host, port, is_literal)


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"https://{text}/x"):
        try:
            target = target_of(url)
        except RefusedAddress:
            continue
        assert target.host
        assert target.host.isascii()


METADATA = [
    *("169.254.169.254", "169.254.170.2", "169.254.0.23", "100.100.100.200", "168.63.129.16", "0.0.0.0"),
    *("224.0.0.1", "255.255.255.255", "fe80::1", "fd00:ec2::254", "ff02::1", "::"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"),
]
NO_METADATA = [
    "127.0.0.1",
    "10.0.0.1",
    "192.168.1.1",
    "8.8.8.8",
    "::1",
    "fd12::1",
    "::ffff:10.0.0.1",
    "a name",
]


@pytest.mark.parametrize("address", METADATA)
def test_metadata_is_known_in_every_spelling(address: str) -> None:
    assert is_metadata(address)


@pytest.mark.parametrize("address", NO_METADATA)
def test_other_addresses_are_no_metadata(address: str) -> None:
    assert not is_metadata(address)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://api.xiaomimimo.com",
            "https://203.0.113.7:8443/mimo",
            "https://10.0.0.1",
            "https://[fd12::1]",
        ),
        *("http://127.0.0.1:8090", "http://[::1]:8090", "http://10.1.2.3", "http://simulator:8090"),
        *(
            "http://localhost",
            "http://mimo.tools.svc",
            "http://mimo.svc.cluster.local",
            "http://proxy.internal",
        ),
    ],
)
def test_account_may_be_called_there(url: str) -> None:
    refuse_account_host(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        *(
            (f"https://[{address}]" if ":" in address else f"https://{address}", "address")
            for address in METADATA
        ),
        ("http://metadata.google.internal/computeMetadata", "address"),
        ("https://METADATA.google.internal./", "address"),
        ("http://api.xiaomimimo.com", "scheme"),
        ("http://8.8.8.8", "scheme"),
        ("http://evil.notlocal", "scheme"),
        ("https://2852039166", "spelling"),
        ("https://0xa9fea9fe", "spelling"),
        ("https://me:pass@host", "spelling"),
    ],
)
def test_account_is_not_called_there(url: str, reason: str) -> None:
    with pytest.raises(RefusedAddress) as caught:
        refuse_account_host(url)
    assert caught.value.reason == reason
