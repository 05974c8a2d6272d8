"""What reaches what: containers, host, a second host."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dockwright.network import AttachRequest, Networks, PortRequest
from dockwright.network.files import host_resolv_conf, resolv_conf

from .conftest import TCP_ASK, Open, Server, inside

pytestmark = pytest.mark.root

PORT = 80


async def ask_tcp(host: str, port: int, text: str) -> str:
    """Send text from this process (the daemon's loop stays free to relay) and return the answer."""
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 5)
    writer.write(text.encode())
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def ask_udp(host: str, port: int, data: bytes) -> bytes:
    """Send one datagram and return the answer."""

    def exchange() -> bytes:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((host, port))
            client.send(data)
            return client.recv(65536)

    return await asyncio.to_thread(exchange)


def host_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.254", 9))
        return str(probe.getsockname()[0])


@pytest.fixture
async def published(networks: Networks) -> tuple[int, Path, str]:
    """A container with port 80 on a free port of every host address: (host port, namespace, its address)."""
    attachment = await networks.attach("web", AttachRequest("web", ports=(PortRequest(PORT),)))
    return attachment.ports[0].host_port, attachment.netns_path, attachment.places[0].ip


async def test_two_containers_reach_each_other(networks: Networks) -> None:
    one = await networks.attach("one", AttachRequest("one"))
    two = await networks.attach("two", AttachRequest("two"))
    server = Server(two.netns_path, "tcp", PORT)
    try:
        answer = await asyncio.to_thread(inside, one.netns_path, TCP_ASK, two.places[0].ip, str(PORT), "hello")
    finally:
        server.close()
    assert answer == f"{one.places[0].ip} hello"


async def test_without_icc_containers_reach_the_outside_but_not_each_other(open_networks: Open) -> None:
    networks = await open_networks(icc=False)
    one = await networks.attach("one", AttachRequest("one"))
    two = await networks.attach("two", AttachRequest("two"))
    server = Server(two.netns_path, "tcp", PORT)
    try:
        with pytest.raises(subprocess.CalledProcessError):
            await asyncio.to_thread(
                inside, one.netns_path, TCP_ASK.replace("=5", "=1"), two.places[0].ip, str(PORT), "hello"
            )
        # Nothing listens there: a refusal is an answer of the host.
        refused = "import socket,sys; s=socket.socket(); s.settimeout(3); print(s.connect_ex((sys.argv[1],9)))"
        assert inside(one.netns_path, refused, two.places[0].gateway) == str(errno.ECONNREFUSED)
    finally:
        server.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "host", "bridge"])
async def test_a_published_tcp_port_is_reached_from_the_host(
    networks: Networks, published: tuple[int, Path, str], address: str
) -> None:
    port, netns, _ = published
    host = {"host": host_address(), "bridge": networks.get("bridge").gateway}.get(address, address)
    server = Server(netns, "tcp", PORT)
    try:
        assert (await ask_tcp(host, port, "x" * 100_000)).endswith(" " + "x" * 100_000)
    finally:
        server.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "host"])
async def test_a_published_udp_port_carries_large_datagrams(networks: Networks, address: str) -> None:
    attachment = await networks.attach("web", AttachRequest("web", ports=(PortRequest(PORT, "udp"),)))
    server = Server(attachment.netns_path, "udp", PORT)
    host = host_address() if address == "host" else address
    try:
        answer = await ask_udp(host, attachment.ports[0].host_port, b"y" * 8000)
    finally:
        server.close()
    assert answer.endswith(b" " + b"y" * 8000)


async def test_a_container_reaches_its_own_published_port(published: tuple[int, Path, str]) -> None:
    port, netns, _ = published
    server = Server(netns, "tcp", PORT)
    try:
        assert (await asyncio.to_thread(inside, netns, TCP_ASK, host_address(), str(port), "me")).endswith(" me")
    finally:
        server.close()


async def test_a_neighbour_reaches_a_published_port_through_the_host(
    networks: Networks, published: tuple[int, Path, str]
) -> None:
    port, netns, _ = published
    other = await networks.attach("other", AttachRequest("other"))
    server = Server(netns, "tcp", PORT)
    try:
        answer = await asyncio.to_thread(inside, other.netns_path, TCP_ASK, host_address(), str(port), "hi")
    finally:
        server.close()
    assert answer.endswith(" hi")


async def test_a_second_host_reaches_the_published_port_and_no_other(
    published: tuple[int, Path, str], outside: Path
) -> None:
    port, netns, ip = published
    server, hidden = Server(netns, "tcp", PORT), Server(netns, "tcp", 81)
    try:
        answer = await asyncio.to_thread(inside, outside, TCP_ASK, "198.51.100.1", str(port), "far")
        assert answer == "198.51.100.2 far"  # its own address: nothing was masqueraded on the way in
        for target in ((ip, "81"), (ip, "80")):
            with pytest.raises(subprocess.CalledProcessError):
                await asyncio.to_thread(inside, outside, TCP_ASK.replace("=5", "=1"), *target, "far")
    finally:
        server.close()
        hidden.close()


async def test_a_port_bound_to_loopback_is_not_reached_from_a_second_host(networks: Networks, outside: Path) -> None:
    request = AttachRequest("web", ports=(PortRequest(PORT, host_ip="127.0.0.1"),))
    attachment = await networks.attach("web", request)
    port = attachment.ports[0].host_port
    server = Server(attachment.netns_path, "tcp", PORT)
    try:
        assert (await ask_tcp("127.0.0.1", port, "near")).endswith(" near")
        with pytest.raises(subprocess.CalledProcessError):
            await asyncio.to_thread(inside, outside, TCP_ASK.replace("=5", "=1"), "198.51.100.1", str(port), "far")
    finally:
        server.close()


async def test_a_container_does_not_reach_the_hosts_loopback(networks: Networks) -> None:
    attachment = await networks.attach("one", AttachRequest("one"))
    code = (
        "import socket,subprocess\n"
        f"subprocess.run(['ip','route','add','127.9.9.9/32','via','{attachment.places[0].gateway}'])\n"
        "open('/proc/sys/net/ipv4/conf/eth0/route_localnet','w').write('1')\n"
        "s=socket.socket(); s.settimeout(1); s.bind(('%s',0))\n"
        % attachment.places[0].ip
        + "try: s.connect(('127.9.9.9', PORT)); print('reached')\nexcept OSError as e: print('no')"
    )
    with socket.create_server(("127.9.9.9", 0)) as listener:
        answer = await asyncio.to_thread(
            inside, attachment.netns_path, code.replace("PORT", str(listener.getsockname()[1]))
        )
    assert answer.splitlines()[-1] == "no"


async def test_after_detach_the_port_is_free_and_no_longer_answers(
    networks: Networks, published: tuple[int, Path, str]
) -> None:
    port, _, _ = published
    await networks.detach("web")
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", port))
    with pytest.raises(OSError):
        await ask_tcp("127.0.0.1", port, "x")


async def test_the_hosts_resolver_answers_through_nat(networks: Networks) -> None:
    text = resolv_conf(await asyncio.to_thread(host_resolv_conf))
    server = next((line.split()[1] for line in text.splitlines() if line.startswith("nameserver")), "")
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03deb\x06debian\x03org\x00\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(3)
        probe.sendto(query, (server, 53))
        try:
            probe.recv(4096)
        except OSError:
            pytest.skip(f"the resolver {server} does not answer this host either")
    attachment = await networks.attach("one", AttachRequest("one"))
    code = (
        "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(5)\n"
        f"s.sendto({query!r},(sys.argv[1],53)); print(s.recv(4096)[:2].hex())"
    )
    assert await asyncio.to_thread(inside, attachment.netns_path, code, server) == "1234"


async def test_without_the_packet_filter_ports_are_relayed(open_networks: Open) -> None:
    networks = await open_networks(firewall=False)
    attachment = await networks.attach("web", AttachRequest("web", ports=(PortRequest(PORT),)))
    server = Server(attachment.netns_path, "tcp", PORT)
    try:
        for host in ("127.0.0.1", "::1"):
            assert (await ask_tcp(host, attachment.ports[0].host_port, "r" * 300_000)).endswith("r" * 300_000)
    finally:
        server.close()


async def test_a_udp_client_that_never_stopped_sending_reaches_the_port_once_it_is_published(
    networks: Networks, outside: Path
) -> None:
    code = (
        "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(0.1)\n"
        "s.bind(('0.0.0.0',40001))\nprint('sending',flush=True)\n"
        "for _ in range(80):\n"
        "    s.sendto(b'x',('198.51.100.1',18053))\n"
        "    try: print('answer',s.recv(100)); break\n"
        "    except OSError: pass\n"
    )
    client = await asyncio.create_subprocess_exec(
        "nsenter", f"--net={outside}", sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    assert await client.stdout.readline() == b"sending\n"
    await asyncio.sleep(0.3)
    request = AttachRequest("dns", ports=(PortRequest(53, "udp", "", 18053, 18053),))
    server = Server((await networks.attach("dns", request)).netns_path, "udp", 53)
    try:
        assert (await client.stdout.read()).startswith(b"answer b'198.51.100.2 x")
        await client.wait()
    finally:
        server.close()


async def test_two_hundred_connections_at_once_pass_a_port_and_its_relay(
    networks: Networks, published: tuple[int, Path, str]
) -> None:
    port, netns, _ = published
    server = Server(netns, "tcp", PORT)
    try:
        for host in ("127.0.0.1", "::1"):
            answers = await asyncio.gather(*(ask_tcp(host, port, f"{number}") for number in range(200)))
            assert [answer.split()[1] for answer in answers] == [f"{number}" for number in range(200)]
    finally:
        server.close()


async def test_a_relayed_connection_nobody_answers_is_closed(published: tuple[int, Path, str]) -> None:
    port, _, _ = published
    reader, writer = await asyncio.open_connection("::1", port)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
