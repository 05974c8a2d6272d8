"""Names inside networks, asked with dig from inside sandboxes."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import dnslib
import pytest

from dockwright import faults
from dockwright.errors import HostFailure
from dockwright.network import Attachment, Join, NetworkRequest, Networks, Resolver, Subnet

from .conftest import AttachRequest, Open, inside, network, on, shown

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("dig") is None, reason="dig is missing (Debian package bind9-dnsutils)"),
]
IDS = {name: letter * 64 for name, letter in (("asker", "a"), ("web", "b"), ("db", "c"), ("third", "d"))}


async def dig(attachment: Attachment, *words: str) -> list[str]:
    """The lines of a short answer."""
    command = ["dig", "@127.0.0.11", "+short", "+tries=1", "+time=4", *words]
    return (await asyncio.to_thread(shown, attachment.netns_path, *command)).splitlines()


async def status(attachment: Attachment, *words: str) -> str:
    """The code of an answer: NOERROR, NXDOMAIN, SERVFAIL."""
    command = ["dig", "@127.0.0.11", "+tries=1", "+time=4", *words]
    said = await asyncio.to_thread(shown, attachment.netns_path, *command)
    return said.partition("status: ")[2].partition(",")[0]


@pytest.fixture
async def named(networks: Networks) -> Networks:
    subnets = (Subnet("10.214.1.0/24"), Subnet("fd00:214::/64"))
    await networks.create(NetworkRequest("blue", subnets=subnets, ipv6=True))
    await network(networks, "green", "10.214.2.0/24")
    return networks


async def start(networks: Networks, name: str, *joins: Join, **more: object) -> Attachment:
    return await networks.attach(IDS[name], AttachRequest(name, joins, **more))  # type: ignore[arg-type]


async def test_every_name_of_a_container_has_its_addresses(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    await start(named, "web", Join("blue", aliases=("front", "w.example")), hostname="webhost")
    for name in ("web", "WEB.", "front", "w.example", "webhost", IDS["web"][:12], "web.blue", "front.blue"):
        assert await dig(asker, name, "A") == ["10.214.1.3"], name
    assert await dig(asker, "web", "AAAA") == ["fd00:214::3"]
    assert await dig(asker, "+tcp", "web", "A") == ["10.214.1.3"]


async def test_addresses_have_their_names(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    await start(named, "web", Join("blue"))
    assert await dig(asker, "-x", "10.214.1.3") == ["web.blue."]
    assert await dig(asker, "-x", "fd00:214::3") == ["web.blue."]
    assert await status(asker, "-x", "10.214.1.77") == "NXDOMAIN"


async def test_a_name_reaches_as_far_as_its_network(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    await start(named, "web", Join("green", aliases=("front",)))
    for name in ("web", "front"):
        assert await status(asker, name) == "NXDOMAIN"
    await named.connect(IDS["asker"], Join("green"))
    assert await dig(asker, "front") == ["10.214.2.2"]
    await named.disconnect(IDS["asker"], "green")
    assert await status(asker, "web") == "NXDOMAIN"


async def test_a_name_without_an_address_of_that_kind_exists_all_the_same(named: Networks) -> None:
    asker = await start(named, "asker", Join("green"))
    await start(named, "web", Join("green"))
    assert (await status(asker, "web", "AAAA"), await dig(asker, "web", "AAAA")) == ("NOERROR", [])
    assert (await status(asker, "web", "MX"), await dig(asker, "web", "MX")) == ("NOERROR", [])


async def test_containers_of_one_alias_are_a_group_in_turns(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    for name in ("web", "db", "third"):
        await start(named, name, Join("blue", aliases=("pool",)))
    answers = [await dig(asker, "pool", "A") for _ in range(3)]
    assert [sorted(answer) for answer in answers] == [["10.214.1.3", "10.214.1.4", "10.214.1.5"]] * 3
    assert {answer[0] for answer in answers} == {"10.214.1.3", "10.214.1.4", "10.214.1.5"}
    assert sorted(await dig(asker, "tasks.pool", "A")) == sorted(answers[0])
    await named.detach(IDS["db"])
    assert sorted(await dig(asker, "pool", "A")) == ["10.214.1.3", "10.214.1.5"]


async def test_what_was_answered_before_is_answered_anew_when_names_change(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    web = await start(named, "web", Join("blue", aliases=("front",)))
    for _ in range(3):
        assert await dig(asker, "front", "A") == [web.places[0].ip]
    await start(named, "db", Join("blue", aliases=("front",)))
    assert len({(await dig(asker, "front", "A"))[0] for _ in range(4)}) == 2  # each is first in turn
    await named.disconnect(IDS["web"], "blue")
    assert await dig(asker, "front", "A") == ["10.214.1.4"]
    await named.connect(IDS["web"], Join("green"))
    assert await status(asker, "web") == "NXDOMAIN"
    await named.connect(IDS["asker"], Join("green"))
    assert await dig(asker, "web", "A") == [named.attachment(IDS["web"]).places[0].ip]  # type: ignore[union-attr]
    assert await dig(asker, "web.green", "A") == [named.attachment(IDS["web"]).places[0].ip]  # type: ignore[union-attr]


async def test_a_renamed_container_is_found_by_its_new_name(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    await start(named, "web", Join("blue"))
    await named.rename(IDS["web"], "site")
    assert await dig(asker, "site", "A") == ["10.214.1.3"]
    assert await dig(asker, "-x", "10.214.1.3") == ["site.blue."]


async def test_an_answer_too_long_for_a_datagram_is_cut_and_whole_over_tcp(named: Networks) -> None:
    asker = await start(named, "asker", Join("green"))
    for number in range(60):
        await named.attach(f"{number:064}", on(f"c{number}", "green"))
    for number in range(60):
        await named.disconnect(f"{number:064}", "green")
        await named.connect(f"{number:064}", Join("green", aliases=("pool",)))
    said = await asyncio.to_thread(shown, asker.netns_path, "dig", "@127.0.0.11", "+ignore", "+noedns", "pool")
    assert " tc " in said
    assert len(await dig(asker, "+tcp", "pool")) == 60
    assert len(await dig(asker, "pool")) == 60  # dig asks again by itself


class Upstream:
    """A name server of the test: every A is 192.0.2.53, names that begin with `no` do not exist, `slow` is never answered."""

    def __init__(self, address: str) -> None:
        self.asked: list[str] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, 53))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, client = self._udp.recvfrom(4096)
            if data == b"end":
                return
            record = dnslib.DNSRecord.parse(data)
            name = str(record.q.qname).rstrip(".")
            self.asked.append(name)
            reply = record.reply(aa=0)
            if name.startswith("no"):
                reply.header.rcode = dnslib.RCODE.NXDOMAIN
            else:
                reply.add_answer(dnslib.RR(record.q.qname, rdata=dnslib.A("192.0.2.53"), ttl=9))
            self._udp.sendto(reply.pack(), client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", self._udp.getsockname())
        self._thread.join()
        self._udp.close()


@pytest.fixture
def upstream(named: Networks) -> Iterator[Upstream]:
    """A server on the default bridge's address: containers reach it through their own namespace."""
    server = Upstream(named.get("blue").gateway)
    yield server
    server.close()


async def test_what_is_not_ours_is_asked_of_the_containers_own_servers(named: Networks, upstream: Upstream) -> None:
    servers = Resolver((named.get("blue").gateway,))
    asker = await start(named, "asker", Join("blue"), resolver=servers)
    await start(named, "web", Join("blue"))
    await start(named, "db", Join("green"))
    assert await dig(asker, "example.org", "A") == ["192.0.2.53"]
    assert await status(asker, "nosuch.example.org", "A") == "NXDOMAIN"
    for ours in ("web", "db", "web.blue"):
        await status(asker, ours, "AAAA")
    assert upstream.asked == ["example.org", "nosuch.example.org"]


async def test_a_link_is_a_name_that_only_one_knows(named: Networks, upstream: Upstream) -> None:
    servers = Resolver((named.get("blue").gateway,))
    asker = await start(named, "asker", Join("blue", links=("db:database",)), resolver=servers)
    other = await start(named, "web", Join("blue"), resolver=servers)
    await start(named, "db", Join("blue"))
    assert await dig(asker, "database", "A") == ["10.214.1.4"]
    assert upstream.asked == []
    assert await dig(other, "database", "A") == ["192.0.2.53"]  # nobody's here: what the outside makes of it
    assert upstream.asked == ["database"]


async def test_on_an_internal_network_no_name_leaves(named: Networks, upstream: Upstream) -> None:
    await network(named, "closed", "10.214.3.0/24", internal=True)
    asker = await start(named, "asker", Join("closed"), resolver=Resolver((named.get("blue").gateway,)))
    await start(named, "web", Join("closed"))
    assert await dig(asker, "web", "A") == ["10.214.3.3"]
    assert await status(asker, "example.org") == "SERVFAIL"
    assert upstream.asked == []


async def test_a_thousand_questions_at_once_are_all_answered(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    await start(named, "web", Join("blue"))
    code = (
        "import socket,struct\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(('127.0.0.11',53))\n"
        "s.settimeout(10)\nseen=set()\n"
        "for start in range(0,1000,50):\n"
        "    for n in range(start,start+50): s.send(struct.pack('>6H',n,256,1,0,0,0)+b'\\3web\\0\\0\\1\\0\\1')\n"
        "    for _ in range(50):\n"
        "        a=s.recv(512); assert a[-4:]==bytes((10,214,1,3)); seen.add(a[:2])\n"
        "print(len(seen))"
    )
    assert await asyncio.to_thread(inside, asker.netns_path, code) == "1000"


async def test_garbage_is_answered_with_an_error_or_not_at_all(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    code = (
        "import os,socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(('127.0.0.11',53))\n"
        "for n in range(300): s.send(os.urandom(n % 90))\nprint('sent')"
    )
    assert await asyncio.to_thread(inside, asker.netns_path, code) == "sent"
    assert await dig(asker, "asker", "A") == ["10.214.1.2"]


async def test_a_server_of_the_container_may_have_port_53_for_itself(named: Networks) -> None:
    asker = await start(named, "asker", Join("blue"))
    code = (
        "import socket\n"
        "for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):\n"
        "    s=socket.socket(socket.AF_INET,kind); s.bind(('0.0.0.0',53))\n"
        "print('bound')"
    )
    assert await asyncio.to_thread(inside, asker.netns_path, code) == "bound"


async def test_the_default_bridge_has_no_names(named: Networks) -> None:
    attachment = await start(named, "asker", Join("bridge"))
    assert not attachment.dns
    assert (await named.connect(IDS["asker"], Join("blue"))).dns is not False
    assert await dig(attachment, "asker", "A") == ["10.214.1.2"]


async def test_names_are_answered_again_by_the_next_daemon(open_networks: Open, tmp_path: Path) -> None:
    from .test_lifecycle import abandon

    first = await open_networks()
    await network(first, "blue", "10.214.1.0/24")
    asker = await start(first, "asker", Join("blue"))
    code = (
        "import socket,sys\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(3); s.connect(('127.0.0.11',53))\n"
        "q=bytes.fromhex('abcd01000001000000000000')+b'\\x05asker\\0\\0\\x01\\0\\x01'\n"
        "for _ in range(2):\n"
        "    s.send(q); print(s.recv(500)[-4:].hex(), flush=True); sys.stdin.readline()\n"
    )
    import subprocess
    import sys

    client = await asyncio.to_thread(
        subprocess.Popen,
        ["nsenter", f"--net={asker.netns_path}", sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdin
    assert client.stdout
    assert await asyncio.to_thread(client.stdout.readline) == "0ad60102\n"
    await abandon(first)
    second = await open_networks(live={IDS["asker"]})
    await asyncio.to_thread(client.communicate, "\n\n")  # the same socket, which the kernel tracks, is answered again
    assert client.returncode == 0
    assert await dig(second.attachment(IDS["asker"]), "asker", "A") == ["10.214.1.2"]  # type: ignore[arg-type]


async def test_without_its_resolver_a_container_does_not_start(named: Networks) -> None:
    with faults.armed("network.dns"), pytest.raises(HostFailure):
        await start(named, "asker", Join("blue"))
    assert named.attachment(IDS["asker"]) is None
    assert await dig(await start(named, "asker", Join("blue")), "asker", "A")
