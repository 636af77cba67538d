"""Which addresses are public, and that every way to write one leads to the same answer."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from caravan_bus.outbound.addresses import is_public
from caravan_bus.outbound.hosts import place_of, read_host
from hypothesis import given
from hypothesis import strategies as st

V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
PRIVATE = st.sampled_from(
    ["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "0.0.0.0/8"]
).flatmap(lambda net: st.ip_addresses(v=4, network=net))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.100.100.200", "192.0.0.192",
        "168.63.129.16",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "198.18.0.1", "203.0.113.9", "240.0.0.1",
        "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "3fff::1", "100::1",
        "::ffff:127.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:0808:0808::1", "64:ff9b::7f00:1",
        "64:ff9b:1::808:808",
        "2001::1", "2606:4700::5efe:7f00:1", "5f00::1", "::ffff:0:127.0.0.1",
    ],
)  # fmt: skip
def test_what_is_not_of_the_internet_is_closed(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_of_the_internet_is_open(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@given(V4)
def test_never_more_open_than_the_standard_library(address: IPv4Address) -> None:
    assert not is_public(address) or (address.is_global and not address.is_multicast)


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_never_more_open_than_the_standard_library_for_ipv6(address: IPv6Address) -> None:
    if is_public(address) and address.ipv4_mapped is None:
        assert address.is_global and not address.is_multicast and not address.is_private


@given(PRIVATE)
def test_an_address_that_carries_a_private_one_is_closed(inner: IPv4Address) -> None:
    number = int(inner)
    carriers = [
        number | 0xFFFF << 32,  # mapped
        number,  # compatible
        0x2002 << 112 | number << 80,  # 6to4
        0x64FF9B << 96 | number,  # NAT64
        0x20010000 << 96 | (number ^ 0xFFFFFFFF),  # Teredo
        0x26064700 << 96 | 0x5EFE << 32 | number,  # ISATAP
    ]
    assert not any(is_public(IPv6Address(carrier)) for carrier in carriers)


@given(V4)
def test_a_mapped_or_translated_address_is_as_public_as_its_own(inner: IPv4Address) -> None:
    assert is_public(IPv6Address(int(inner) | 0xFFFF << 32)) == is_public(inner)
    assert is_public(IPv6Address(0x64FF9B << 96 | int(inner))) == is_public(inner)


@given(V4, st.data())
def test_every_way_to_write_an_address_is_the_same_address(address: IPv4Address, data: st.DataObject) -> None:
    parts = list(address.packed)
    kept = data.draw(st.integers(1, 4))
    numbers = [*parts[: kept - 1], int.from_bytes(bytes(parts[kept - 1 :]), "big")]
    forms = [data.draw(st.sampled_from([str, hex, lambda n: f"0{n:o}", lambda n: f"0X{n:X}"])) for _ in numbers]
    text = ".".join(form(number) for form, number in zip(forms, numbers, strict=True))
    dot = data.draw(st.sampled_from(["", "."]))
    assert read_host(text + dot) == (str(address), address)
    assert place_of(f"http://{text}{dot}:80/x").address == address
    wide = text.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789xXabcdefABCDEF"})
    assert read_host(wide + dot)[1] == address


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("example。com", "example.com"),
        ("a_b.example", "a_b.example"),
        ("::FFFF:7F00:1", "::ffff:7f00:1"),
    ],
)
def test_a_host_has_one_form(text: str, host: str) -> None:
    assert read_host(text)[0] == host


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com", "file:///etc/passwd", "gopher://example.com", "http://", "http:///x",
        "http://user@example.com", "http://user:pw@example.com", "http://@example.com", "http://example.com:0",
        "http://example.com:99999", "http://exa mple.com", "http://example.com\\@evil.example", "http://example.com\r\n/",
        "http://[fe80::1%25eth0]/", "http://[::1", "http://1.2.3.4.5/", "http://256.1.1.1/", "http://0x/", "http://a..b/",
        "http://a%2eb/", "http://08.1.1.1/", "http://-a.example/", "http://" + "a" * 64 + ".example/",
        "http://example.com/" + "x" * 9000, "http://example..", "http://.", "unix:///run/x.sock", "data:text/plain,hi",
    ],
)  # fmt: skip
def test_what_is_no_url_for_us_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is for people
        place_of(url)


@given(st.text(max_size=60))
def test_nothing_but_a_value_error_comes_of_any_text(text: str) -> None:
    for url in (text, f"http://{text}", f"https://{text}/x", f"http://[{text}]"):
        try:
            place = place_of(url)
        except ValueError:
            continue
        assert place.host.isascii() and 0 < place.port < 65536
        assert place.host == place.host.lower() and not place.host.endswith(".")
