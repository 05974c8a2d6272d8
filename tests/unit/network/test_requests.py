from ipaddress import IPv4Interface, IPv4Network

import pytest

from dockwright.errors import Invalid
from dockwright.network import NetworkOptions, PortRequest, parse_bip, parse_mac, parse_pool, parse_port_request
from dockwright.network.ipam import Pool


@pytest.mark.parametrize(("host_port", "expected"), [("", (0, 0)), ("8080", (8080, 8080)), ("8080-8090", (8080, 8090))])
def test_a_host_port_is_empty_a_port_or_a_range(host_port: str, expected: tuple[int, int]) -> None:
    assert parse_port_request(80, "tcp", "", host_port) == PortRequest(80, "tcp", "", *expected)


@pytest.mark.parametrize(
    ("port", "protocol", "ip", "host_port"),
    [
        (0, "tcp", "", ""),
        (80, "icmp", "", ""),
        (80, "tcp", "nowhere", ""),
        (80, "tcp", "", "x"),
        (80, "tcp", "", "9-8"),
        (80, "tcp", "", "65536"),
        (80, "tcp", "", "-1"),
    ],
)
def test_a_bad_port_binding_is_refused(port: int, protocol: str, ip: str, host_port: str) -> None:
    with pytest.raises(Invalid):
        parse_port_request(port, protocol, ip, host_port)


@pytest.mark.parametrize("text", ["02:42:ac:11:00:02", "02-42-AC-11-00-02"])
def test_a_mac_address_has_two_spellings(text: str) -> None:
    assert parse_mac(text) == "02:42:ac:11:00:02"


@pytest.mark.parametrize("text", ["", "02:42", "03:42:ac:11:00:02", "02:42:ac:11:00:0g", "02:42:ac:11:00:02:03"])
def test_a_bad_mac_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="invalid MAC address"):
        parse_mac(text)


def test_bip_needs_a_prefix() -> None:
    assert parse_bip("10.1.0.1/24") == IPv4Interface("10.1.0.1/24")
    for text in ("10.1.0.1", "10.1.0.300/24", "x/24"):
        with pytest.raises(Invalid, match="invalid bip"):
            parse_bip(text)


def test_a_pool_names_base_and_size() -> None:
    assert parse_pool("base=10.10.0.0/16,size=24") == Pool(IPv4Network("10.10.0.0/16"), 24)
    for text in ("10.10.0.0/16", "base=10.10.0.0/16", "base=10.10.0.0/16,size=8", "base=10.10.0.1/16,size=24"):
        with pytest.raises(Invalid, match="invalid default-address-pool"):
            parse_pool(text)


@pytest.mark.parametrize(
    "settings",
    [
        {"bridge": "a-name-that-is-too-long"},
        {"bridge": "a b"},
        {"mtu": 10},
        {"bip": IPv4Interface("10.0.0.0/24")},
        {"bip": IPv4Interface("10.0.0.1/24"), "fixed_cidr": IPv4Network("10.1.0.0/25")},
    ],
)
def test_options_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        NetworkOptions(**settings)  # type: ignore[arg-type]
