"""Attach, detach, restart of the daemon, injected failures: the kernel agrees with what is stored."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from dockwright import faults
from dockwright.errors import Conflict, HostFailure, Invalid, Unavailable
from dockwright.network import NETWORK_SCHEMA, AttachRequest, Join, NetworkOptions, Networks, PortRequest, parse_bip
from dockwright.network.firewall import table_name
from dockwright.store import Database

from .conftest import TCP_ASK, Open, Server, inside

pytestmark = pytest.mark.root


def links(*selection: str) -> set[str]:
    """Names of interfaces; by the command, for calls of ours would block the loop."""
    shown = subprocess.run(["ip", "-json", "link", "show", *selection], check=False, capture_output=True, text=True)
    return {link["ifname"] for link in json.loads(shown.stdout or "[]") if link}


def ports_of(bridge: str) -> set[str]:
    return links("master", bridge)


async def elements_of(bridge: str) -> int:
    command = ["nft", "-j", "list", "table", "inet", table_name(bridge)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    maps = [entry["map"] for entry in json.loads(shown)["nftables"] if "map" in entry]
    return sum(len(found.get("elem", ())) for found in maps if found["name"].startswith(("any", "ports")))


def handles(tmp_path: Path) -> set[str]:
    return {entry.name for entry in (tmp_path / "exec/netns").iterdir()}


async def test_attaching_twice_gives_the_same_answer(networks: Networks) -> None:
    request = AttachRequest("web", ports=(PortRequest(80),))
    assert await networks.attach("web", request) == await networks.attach("web", request)


async def test_detaching_twice_is_no_error(networks: Networks, bridge_name: str, tmp_path: Path) -> None:
    await networks.attach("web", AttachRequest("web", ports=(PortRequest(80),)))
    await networks.detach("web")
    await networks.detach("web")
    await networks.settle()
    assert (ports_of(bridge_name), await elements_of(bridge_name), handles(tmp_path)) == (set(), 0, set())


async def test_an_address_is_not_handed_out_again_at_once(networks: Networks) -> None:
    first = await networks.attach("one", AttachRequest("one"))
    await networks.detach("one")
    await networks.settle()
    assert (await networks.attach("two", AttachRequest("two"))).places[0].ip != first.places[0].ip


async def test_an_exhausted_subnet_is_refused_and_usable_again(open_networks: Open) -> None:
    networks = await open_networks(bip=parse_bip("10.213.7.1/30"))
    await networks.attach("one", AttachRequest("one"))
    with pytest.raises(Unavailable, match="no available IPv4 addresses"):
        await networks.attach("two", AttachRequest("two"))
    await networks.detach("one")
    await networks.settle()
    assert (await networks.attach("two", AttachRequest("two"))).places[0].ip == "10.213.7.2"


async def test_a_fixed_mac_address_is_used(networks: Networks) -> None:
    attachment = await networks.attach("one", AttachRequest("one", joins=(Join(mac_address="02-42-0A-00-00-09"),)))
    assert attachment.places[0].mac == "02:42:0a:00:00:09"
    assert (
        inside(
            attachment.netns_path,
            "print(open('/sys/class/net/eth0/address').read())",
        )
        or True
    )
    shown = subprocess.run(
        ["nsenter", f"--net={attachment.netns_path}", "ip", "-br", "link", "show", "eth0"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "02:42:0a:00:00:09" in shown


async def test_a_static_address_is_refused_on_the_default_bridge(networks: Networks) -> None:
    with pytest.raises(Invalid, match="supported on user defined networks only"):
        await networks.attach("one", AttachRequest("one", joins=(Join(ipv4_address="172.17.0.9"),)))


async def test_a_sandbox_has_nothing_but_loopback(networks: Networks) -> None:
    path = (await networks.attach("lonely", AttachRequest("lonely", (Join("none"),)))).netns_path
    assert inside(path, "import socket; print([name for _, name in socket.if_nameindex()])") == "['lo']"
    assert inside(path, "import socket; s=socket.create_server(('127.0.0.1',0)); print('up')") == "up"


async def test_a_port_of_another_container_is_refused_in_dockers_words(networks: Networks) -> None:
    one = await networks.attach("one", AttachRequest("one", ports=(PortRequest(80),)))
    port = one.ports[0].host_port
    with pytest.raises(Conflict) as refused:
        await networks.attach("two", AttachRequest("two", ports=(PortRequest(80, "tcp", "", port, port),)))
    assert str(refused.value).startswith("driver failed programming external connectivity on endpoint two (")
    assert str(refused.value).endswith(f"): Bind for 0.0.0.0:{port} failed: port is already allocated")


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::"])
async def test_a_port_some_process_of_the_host_listens_on_is_refused(networks: Networks, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Conflict, match=rf":{port}/tcp: address already in use"):
            await networks.attach("two", AttachRequest("two", ports=(PortRequest(80, "tcp", "", port, port),)))
    assert await networks.attach("two", AttachRequest("two", ports=(PortRequest(80, "tcp", "", port, port),)))


async def test_a_published_port_cannot_be_taken_by_a_process_of_the_host(networks: Networks) -> None:
    port = (await networks.attach("one", AttachRequest("one", ports=(PortRequest(80),)))).ports[0].host_port
    with pytest.raises(OSError, match="Address already in use"):
        socket.create_server(("127.0.0.1", port))


async def test_a_range_gives_the_first_free_port(networks: Networks) -> None:
    base = (await networks.attach("one", AttachRequest("one", ports=(PortRequest(80),)))).ports[0].host_port
    two = await networks.attach("two", AttachRequest("two", ports=(PortRequest(80, "tcp", "", base, base + 5),)))
    assert base < two.ports[0].host_port <= base + 5


async def test_the_same_port_on_two_addresses_and_protocols_is_no_conflict(networks: Networks) -> None:
    ports = tuple(
        PortRequest(80, protocol, host, 18080, 18080)
        for protocol in ("tcp", "udp")
        for host in ("127.0.0.1", "127.0.0.2")
    )
    assert len((await networks.attach("one", AttachRequest("one", ports=ports))).ports) == 4


@pytest.mark.parametrize("step", ["network.reserve", "network.persist", "network.link", "network.publish"])
async def test_a_failure_at_any_step_leaves_nothing_and_the_next_attach_succeeds(
    networks: Networks, bridge_name: str, tmp_path: Path, step: str
) -> None:
    request = AttachRequest("web", ports=(PortRequest(80, "tcp", "", 18081, 18081),))
    with faults.armed(step), pytest.raises(HostFailure):
        await networks.attach("web", request)
    await networks.settle()
    assert (ports_of(bridge_name), await elements_of(bridge_name), handles(tmp_path)) == (set(), 0, set())
    assert networks.attachment("web") is None
    assert (await networks.attach("web", request)).ports[0].host_port == 18081


@pytest.mark.parametrize("step", ["network.withdraw", "network.forget"])
async def test_a_failed_detach_can_be_run_again(networks: Networks, bridge_name: str, step: str) -> None:
    await networks.attach("web", AttachRequest("web", ports=(PortRequest(80),)))
    with faults.armed(step), pytest.raises(HostFailure):
        await networks.detach("web")
    await networks.detach("web")
    await networks.settle()
    assert (ports_of(bridge_name), await elements_of(bridge_name)) == (set(), 0)


async def test_cancelled_attaches_leave_nothing(networks: Networks, bridge_name: str, tmp_path: Path) -> None:
    for delay_s in (0, 0.0003, 0.001, 0.002, 0.003):
        task = asyncio.get_running_loop().create_task(
            networks.attach("web", AttachRequest("web", ports=(PortRequest(80),)))
        )
        await asyncio.sleep(delay_s)
        task.cancel()
        await asyncio.wait((task,))
        await networks.detach("web")
    await networks.settle()
    assert (ports_of(bridge_name), await elements_of(bridge_name), handles(tmp_path)) == (set(), 0, set())


async def abandon(networks: Networks) -> None:
    """What kill -9 leaves: the kernel's state stays, sockets and tasks are gone."""
    await networks._background.aclose()
    networks._real.close()
    await networks._publishing.aclose()
    await asyncio.to_thread(networks._namespaces.close)
    if networks._nft is not None:
        await asyncio.to_thread(networks._nft.close)
    networks._closed = True
    networks._sandboxes.clear()


async def test_a_new_daemon_keeps_the_living_and_removes_the_rest(
    open_networks: Open, bridge_name: str, tmp_path: Path
) -> None:
    old = await open_networks(prepared=4)
    live = await old.attach("live", AttachRequest("live", ports=(PortRequest(80),)))
    dead = await old.attach("dead", AttachRequest("dead", ports=(PortRequest(80),)))
    await old.attach("lonely", AttachRequest("lonely", (Join("none"),)))
    server = Server(live.netns_path, "tcp", 80)
    try:
        await abandon(old)
        new = await open_networks(live={"live", "lonely"}, prepared=0)
        assert new.attachment("live") == live
        assert new.attachment("dead") is None
        assert not dead.netns_path.exists()
        await new.settle()
        assert len(ports_of(bridge_name)) == 1
        assert len(handles(tmp_path)) == 2
        assert await elements_of(bridge_name) == 1
        other = await new.attach("other", AttachRequest("other"))
        assert other.places[0].ip not in (live.places[0].ip, "")
        answer = await asyncio.to_thread(
            inside, other.netns_path, TCP_ASK, live.places[0].gateway, str(live.ports[0].host_port), "x"
        )
        assert answer.endswith(" x")
        port = live.ports[0].host_port
        with pytest.raises(Conflict):
            await new.attach("third", AttachRequest("third", ports=(PortRequest(80, "tcp", "", port, port),)))
    finally:
        server.close()


async def test_reconcile_repairs_what_somebody_else_flushed(open_networks: Open, bridge_name: str) -> None:
    old = await open_networks()
    live = await old.attach("live", AttachRequest("live", ports=(PortRequest(80),)))
    await abandon(old)
    subprocess.run(["nft", "delete", "table", "inet", table_name(bridge_name)], check=True)
    ports = ports_of(bridge_name)
    subprocess.run(["ip", "link", "delete", bridge_name], check=True)
    (port,) = ports
    subprocess.run(["ip", "link", "delete", port], check=True)
    server = Server(live.netns_path, "tcp", 80)
    try:
        new = await open_networks(live={"live"})
        other = await new.attach("other", AttachRequest("other"))
        assert (await asyncio.to_thread(inside, other.netns_path, TCP_ASK, live.places[0].ip, "80", "x")).endswith(" x")
        assert await elements_of(bridge_name) == 1
    finally:
        server.close()


async def test_two_daemons_side_by_side_do_not_disturb_each_other(
    open_networks: Open, tmp_path: Path, bridge_name: str
) -> None:
    first = await open_networks()
    database = await Database.open(tmp_path / "other.db", [NETWORK_SCHEMA])
    second = await Networks.open(database, tmp_path / "other", NetworkOptions(bridge=bridge_name + "b", prepared=2))
    try:
        await second.reconcile(set())
        one = await first.attach("one", AttachRequest("one", ports=(PortRequest(80),)))
        two = await second.attach("two", AttachRequest("two", ports=(PortRequest(80),)))
        assert one.places[0].ip.rpartition(".")[0] != two.places[0].ip.rpartition(".")[0]
        assert one.ports[0].host_port != two.ports[0].host_port
        await second.detach("two")
        await second.aclose()
        assert await elements_of(bridge_name) == 1
        assert len(ports_of(bridge_name)) == 1
    finally:
        await second.aclose()
        await database.aclose()


async def test_a_forward_policy_of_another_engine_is_named_with_the_command_that_helps(
    networks: Networks, bridge_name: str
) -> None:
    table = "dwt_forward_drop"
    # Everything is accepted after all: other tests run on this host.
    chain = "{ chain FORWARD { type filter hook forward priority 10; policy drop; ip daddr != 203.0.113.7 accept; }; }"
    subprocess.run(["nft", f"table ip {table} {chain}"], check=True)
    try:
        (warning,) = await networks.warnings()
        assert f"ip {table} FORWARD" in warning
        subprocess.run(["bash", "-c", warning[warning.index("nft 'insert") :]], check=True)
        assert await networks.warnings() == ()
    finally:
        subprocess.run(["nft", "delete", "table", "ip", table], check=True)


async def test_hundreds_of_ports_are_one_transaction(networks: Networks, bridge_name: str) -> None:
    ports = tuple(PortRequest(port, "tcp", "127.0.0.1", port, port) for port in range(20000, 20400))
    await networks.attach("web", AttachRequest("web", ports=ports))
    assert await elements_of(bridge_name) == 400
    await networks.detach("web")
    assert await elements_of(bridge_name) == 0


async def test_what_somebody_flushed_is_repaired_while_containers_run(open_networks: Open, bridge_name: str) -> None:
    networks = await open_networks(prepared=2)
    web = await networks.attach("web", AttachRequest("web", ports=(PortRequest(80),)))
    other = await networks.attach("other", AttachRequest("other"))
    subprocess.run(["nft", "delete", "table", "inet", table_name(bridge_name)], check=True)
    subprocess.run(["ip", "link", "set", bridge_name, "down"], check=True)
    await networks.repair()
    server = Server(web.netns_path, "tcp", 80)
    try:
        port = str(web.ports[0].host_port)
        answer = await asyncio.to_thread(inside, other.netns_path, TCP_ASK, web.places[0].gateway, port, "x")
        assert answer.endswith(" x")
    finally:
        server.close()


async def test_published_ports_are_there_as_soon_as_the_next_daemon_opens(
    open_networks: Open, database: Database, tmp_path: Path, bridge_name: str
) -> None:
    old = await open_networks()
    await old.attach("live", AttachRequest("live", ports=(PortRequest(80),)))
    await abandon(old)
    new = await Networks.open(database, tmp_path / "exec", NetworkOptions(bridge=bridge_name, prepared=0))
    try:
        assert await elements_of(bridge_name) == 1
        await new.reconcile({"live"})
        await new.detach("live")
    finally:
        await new.aclose()


async def test_a_default_gateway_is_where_containers_send_and_no_containers_address(open_networks: Open) -> None:
    networks = await open_networks(
        bip=parse_bip("10.213.9.1/24"), default_gateway=IPv4Address("10.213.9.2"), prepared=1
    )
    attachment = await networks.attach("one", AttachRequest("one"))
    assert (attachment.places[0].ip, attachment.places[0].gateway) == ("10.213.9.3", "10.213.9.2")
    route = subprocess.run(
        ["nsenter", f"--net={attachment.netns_path}", "ip", "route", "show", "default"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "via 10.213.9.2 dev eth0" in route


async def test_fixed_cidr_narrows_the_addresses(open_networks: Open) -> None:
    networks = await open_networks(bip=parse_bip("10.213.9.1/24"), fixed_cidr=IPv4Network("10.213.9.128/25"))
    assert (await networks.attach("one", AttachRequest("one"))).places[0].ip == "10.213.9.128"


async def test_a_bridge_that_was_there_keeps_its_address_and_stays(open_networks: Open, bridge_name: str) -> None:
    subprocess.run(["ip", "link", "add", bridge_name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "10.213.8.1/24", "dev", bridge_name], check=True)
        networks = await open_networks()
        attachment = await networks.attach("one", AttachRequest("one"))
        assert (attachment.places[0].gateway, attachment.places[0].prefix_len) == ("10.213.8.1", 24)
        await networks.detach("one")
        await networks.aclose()
        assert bridge_name in links()
    finally:
        subprocess.run(["ip", "link", "delete", bridge_name], check=True)


async def test_a_stopped_daemon_without_containers_leaves_nothing(
    open_networks: Open, bridge_name: str, tmp_path: Path
) -> None:
    networks = await open_networks(prepared=4)
    await networks.attach("one", AttachRequest("one", ports=(PortRequest(80),)))
    await networks.detach("one")
    await networks.aclose()
    await networks.aclose()
    assert bridge_name not in links()
    assert handles(tmp_path) == set()
    assert (
        table_name(bridge_name)
        not in subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    )


VICTIM = """
import asyncio, random, sys
from pathlib import Path
from dockwright.network import *
from dockwright.store import Database

async def client(networks, number, live):
    while True:
        name = f"c{number}"
        await networks.attach(name, AttachRequest(name, ports=(PortRequest(80),) if number % 2 else ()))
        await asyncio.sleep(random.random() * 0.01)
        if number < 2:
            print("live", flush=True)
            await asyncio.sleep(1000)
        await networks.detach(name)

async def main():
    folder, bridge = Path(sys.argv[1]), sys.argv[2]
    database = await Database.open(folder / "state.db", [NETWORK_SCHEMA])
    networks = await Networks.open(database, folder / "exec", NetworkOptions(bridge=bridge, prepared=4))
    await networks.reconcile({"c0", "c1"})
    await asyncio.gather(*(client(networks, number, set()) for number in range(6)))

asyncio.run(main())
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.013, 0.05, 0.11, 0.2, 0.31])
async def test_after_kill_9_under_load_the_kernel_agrees_with_what_is_stored(
    open_networks: Open, tmp_path: Path, bridge_name: str, delay_s: float
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(faults.__file__).parents[1])}
    for _ in range(2):
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(tmp_path), bridge_name], stdout=subprocess.PIPE, env=environment
        )
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"live\n"
        assert victim.stdout.readline() == b"live\n"
        await asyncio.sleep(delay_s)
        victim.kill()
        victim.wait()
        victim.stdout.close()
    networks = await open_networks(live={"c0", "c1"})
    await networks.settle()
    kept = [networks.attachment(name) for name in ("c0", "c1")]
    assert all(kept)
    assert len(ports_of(bridge_name)) == 2
    assert handles(tmp_path) == {attachment.netns_path.name for attachment in kept if attachment}
    assert await elements_of(bridge_name) == 1
    server = Server(kept[1].netns_path, "tcp", 80)  # type: ignore[union-attr]
    try:
        answer = await asyncio.to_thread(
            inside,
            kept[0].netns_path,
            TCP_ASK,
            kept[0].places[0].gateway,
            str(kept[1].ports[0].host_port),
            "x",  # type: ignore[union-attr]
        )
        assert answer.endswith(" x")
    finally:
        server.close()


async def test_daemons_that_start_together_pick_different_subnets(tmp_path: Path, bridge_name: str) -> None:
    async def start(number: int) -> Networks:
        folder = tmp_path / f"{number}"
        await asyncio.to_thread(folder.mkdir)
        database = await Database.open(folder / "state.db", [NETWORK_SCHEMA])
        databases.append(database)
        return await Networks.open(
            database, folder / "exec", NetworkOptions(bridge=f"{bridge_name}{number}", prepared=0)
        )

    databases: list[Database] = []
    daemons = await asyncio.gather(*map(start, range(4)))
    try:
        assert len({daemon.get("bridge").subnets[0].subnet for daemon in daemons}) == 4
    finally:
        for daemon in daemons:
            await daemon.aclose()
        for database in databases:
            await database.aclose()
