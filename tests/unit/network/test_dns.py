"""Names and answers: bytes in, bytes out."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.network.dns.answers import Malformed, Question, is_answer_to
from dockwright.network.dns.names import Names, Scope, parse_reverse
from dockwright.network.model import Endpoint

BLUE, GREEN = Scope("blue-id", "blue", (ip_network("10.0.0.0/24"),)), Scope("green-id", "green")


def endpoint(name: str, address: str, address6: str = "") -> Endpoint:
    return Endpoint(name * 8, name, "", f"{name}{address}", "", address=address, address6=address6)


@pytest.fixture
def names() -> Names:
    found = Names()
    found.add("blue-id", ("web", "Front"), endpoint("web", "10.0.0.2/24", "fd00::2/64"))
    found.add("blue-id", ("db", "front"), endpoint("db", "10.0.0.3/24"))
    found.add("green-id", ("far",), endpoint("far", "10.1.0.2/24"))
    return found


def addresses(names: Names, name: str, *scopes: Scope) -> list[str] | None:
    found = names.find(scopes, name)
    return None if found is None else [str(one.ip) for one in found]


def test_a_name_is_found_in_the_networks_of_the_asker_only(names: Names) -> None:
    assert addresses(names, "web", BLUE) == ["10.0.0.2"]
    assert addresses(names, "WEB.blue.", BLUE) == ["10.0.0.2"]
    assert addresses(names, "far", BLUE) == []
    assert addresses(names, "far", BLUE, GREEN) == ["10.1.0.2"]
    assert addresses(names, "nobody", BLUE) is None


def test_a_group_takes_turns(names: Names) -> None:
    firsts = [addresses(names, "tasks.front", BLUE)[0] for _ in range(4)]  # type: ignore[index]
    assert firsts == ["10.0.0.2", "10.0.0.3", "10.0.0.2", "10.0.0.3"]


def test_a_link_stands_for_its_target(names: Names) -> None:
    linked = Scope("blue-id", "blue", (), (("database", "db"),))
    assert addresses(names, "database", linked) == ["10.0.0.3"]


def test_what_is_removed_is_nobodys_any_more(names: Names) -> None:
    gone = endpoint("web", "10.0.0.2/24", "fd00::2/64")
    names.remove(gone)
    names.remove(gone)
    assert addresses(names, "web", BLUE) is None
    assert names.reverse([BLUE], IPv4Address("10.0.0.2")) == ""
    assert addresses(names, "front", BLUE) == ["10.0.0.3"]


def test_addresses_have_names_on_the_networks_of_the_asker(names: Names) -> None:
    assert names.reverse([BLUE], IPv4Address("10.0.0.2")) == "web.blue"
    assert names.reverse([BLUE], IPv6Address("fd00::2")) == "web.blue"
    assert names.reverse([BLUE], IPv4Address("192.0.2.1")) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2.0.0.10.in-addr.arpa", IPv4Address("10.0.0.2")),
        ("2." + "0." * 27 + "0.0.d.f.IP6.ARPA.", IPv6Address("fd00::2")),
        ("300.0.0.10.in-addr.arpa", None),
        ("2.ip6.arpa", None),
        ("x." * 32 + "ip6.arpa", None),
        ("web", None),
    ],
)
def test_a_reverse_name_is_an_address_or_none(name: str, expected: object) -> None:
    assert parse_reverse(name) == expected


def reply(names: Names, name: str, kind: str = "A", *, edns: int = 0, limited: bool = True) -> dnslib.DNSRecord | None:
    record = dnslib.DNSRecord.question(name, kind)
    if edns:
        record.add_ar(dnslib.EDNS0(udp_len=edns))
    answer = Question(record.pack()).reply(names, [BLUE], limited=limited)
    return None if answer is None else dnslib.DNSRecord.parse(answer)


def test_answers_say_what_there_is(names: Names) -> None:
    found = reply(names, "web")
    assert found is not None
    assert [str(one.rdata) for one in found.rr] == ["10.0.0.2"]
    assert (found.header.ra, found.header.qr, found.header.rcode) == (1, 1, 0)
    assert [str(one.rdata) for one in reply(names, "web", "AAAA").rr] == ["fd00::2"]  # type: ignore[union-attr]
    assert (reply(names, "db", "AAAA").rr, reply(names, "db", "AAAA").header.rcode) == ([], 0)  # type: ignore[union-attr]
    assert reply(names, "far").header.rcode == dnslib.RCODE.NXDOMAIN  # type: ignore[union-attr]
    assert reply(names, "example.org") is None
    assert str(reply(names, "2.0.0.10.in-addr.arpa", "PTR").rr[0].rdata) == "web.blue."  # type: ignore[union-attr]


def test_an_answer_fits_what_the_asker_takes() -> None:
    names = Names()
    for number in range(2, 62):
        names.add("blue-id", (f"c{number}", "pool"), endpoint(f"c{number}", f"10.0.0.{number}/24"))
    assert reply(names, "pool").header.tc == 1  # type: ignore[union-attr]
    assert len(reply(names, "pool", edns=4096).rr) == 60  # type: ignore[union-attr]
    assert len(reply(names, "pool", limited=False).rr) == 60  # type: ignore[union-attr]


def outcome(data: bytes) -> bytes | None:
    try:
        return Question(data).reply(Names(), [BLUE], limited=True)
    except Malformed as malformed:
        return malformed.answer


@given(st.binary(max_size=80))
def test_no_bytes_do_harm(data: bytes) -> None:
    assert (outcome(data) or b"\0\0\x80\1")[2] & 0x80


@given(st.integers(0, 60), st.binary(min_size=1, max_size=4))
def test_no_damage_to_a_question_does_harm(at: int, damage: bytes) -> None:
    question = dnslib.DNSRecord.question("web.blue.example", "A")
    question.add_ar(dnslib.EDNS0(udp_len=1400))
    whole = question.pack()
    outcome(whole[:at] + damage + whole[at + len(damage) :])


def test_only_an_answer_to_the_question_is_one() -> None:
    question = dnslib.DNSRecord.question("example.org")
    good = question.reply().pack()
    asked = question.pack()
    assert is_answer_to(asked, good)
    assert not is_answer_to(asked, asked)
    assert not is_answer_to(asked, bytes((good[0] ^ 1,)) + good[1:])
    other = dnslib.DNSRecord.question("example.com")
    other.header.id = question.header.id
    assert not is_answer_to(asked, other.reply().pack())
