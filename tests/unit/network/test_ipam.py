from ipaddress import IPv4Address, IPv4Network

import pytest

from dockwright.errors import Conflict, Unavailable
from dockwright.network.ipam import DEFAULT_POOLS, Addresses, Pool, mac_for, pick_subnet


def test_the_first_subnet_that_overlaps_nothing_is_picked() -> None:
    taken = [IPv4Network("172.17.0.0/16"), IPv4Network("172.18.3.0/24")]
    assert pick_subnet(DEFAULT_POOLS, taken) == IPv4Network("172.19.0.0/16")


def test_a_route_that_covers_every_pool_is_refused() -> None:
    with pytest.raises(Unavailable, match="fully subnetted"):
        pick_subnet(DEFAULT_POOLS, [IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")])


def test_a_pool_is_cut_into_its_size() -> None:
    pool = Pool(IPv4Network("10.10.0.0/16"), 24)
    assert pick_subnet([pool], [IPv4Network("10.10.0.0/23")]) == IPv4Network("10.10.2.0/24")


def test_addresses_start_after_the_gateway_and_come_round_last() -> None:
    addresses = Addresses(IPv4Network("10.0.0.0/29"), reserved=[IPv4Address("10.0.0.1")])
    first = addresses.take()
    assert first == IPv4Address("10.0.0.2")
    addresses.release(first)
    assert [str(addresses.take()) for _ in range(5)] == [f"10.0.0.{n}" for n in (3, 4, 5, 6, 2)]
    with pytest.raises(Unavailable, match="no available IPv4 addresses"):
        addresses.take()


def test_a_range_narrows_what_is_handed_out() -> None:
    addresses = Addresses(IPv4Network("10.0.0.0/24"), within=IPv4Network("10.0.0.128/30"))
    assert addresses.free == 4
    assert [str(addresses.take()) for _ in range(4)] == [f"10.0.0.{n}" for n in (128, 129, 130, 131)]


def test_a_claimed_address_is_held_and_not_claimed_twice() -> None:
    addresses = Addresses(IPv4Network("10.0.0.0/24"))
    addresses.claim(IPv4Address("10.0.0.1"))
    assert addresses.take() == IPv4Address("10.0.0.2")
    with pytest.raises(Conflict):
        addresses.claim(IPv4Address("10.0.0.2"))


def test_the_hardware_address_follows_the_address() -> None:
    assert mac_for(IPv4Address("172.17.0.2")) == "02:42:ac:11:00:02"
