"""Networks by the real docker command line, our own, and the Docker SDK for Python."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker as sdk
import pytest

from tests.clients.conftest import Containers
from tests.host import Daemon

pytestmark = pytest.mark.root
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def name(client: sdk.DockerClient) -> Iterator[str]:
    """A prefix of this test; networks that begin with it are removed at the end."""
    prefix = "t" + uuid.uuid4().hex[:8]
    yield prefix
    for network in client.networks.list(names=[prefix]):
        for container in network.attrs.get("Containers") or {}:
            network.disconnect(container, force=True)
        network.remove()


@pytest.fixture(params=["docker", "dockwright"])
def command(request: pytest.FixtureRequest, docker: Run, daemon: Daemon, tmp_path: Path) -> Run:
    """The docker command and ours: the same words, the same outcome."""
    if request.param == "docker":
        return docker

    def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(tmp_path), "DOCKER_HOST": daemon.url, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-m", "dockwright.cli", *words],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
        )
        if check and done.returncode:
            pytest.fail(f"dockwright {' '.join(words)}: {done.stderr}{done.stdout}")
        return done

    return run


def test_a_network_is_created_listed_inspected_and_removed(command: Run, name: str) -> None:
    made = command(
        *("network", "create", "--subnet", "10.215.1.0/24", "--ip-range", "10.215.1.64/26", "--gateway", "10.215.1.9"),
        *("--aux-address", "printer=10.215.1.70", "--ipv6", "--label", "tier=db", "--internal", "--attachable"),
        *("-o", "com.docker.network.driver.mtu=1300", name),
    ).stdout.strip()
    shown = json.loads(command("network", "inspect", name).stdout)[0]
    assert (shown["Id"], shown["Name"], shown["Driver"], shown["Scope"]) == (made, name, "bridge", "local")
    assert (shown["Internal"], shown["Attachable"], shown["EnableIPv6"]) == (True, True, True)
    config = shown["IPAM"]["Config"]
    assert config[0] == {
        "Subnet": "10.215.1.0/24",
        "IPRange": "10.215.1.64/26",
        "Gateway": "10.215.1.9",
        "AuxiliaryAddresses": {"printer": "10.215.1.70"},
    } or config[0]["AuxiliaryAddresses"] == {"printer": "10.215.1.70"}
    assert config[1]["Subnet"].startswith("fd")
    assert shown["Labels"] == {"tier": "db"}
    assert name in command("network", "ls", "--filter", "label=tier=db", "--format", "{{.Name}}").stdout.split()
    assert command("network", "ls", "-q", "--no-trunc", "--filter", f"name={name}").stdout.split() == [made]
    assert command("network", "rm", name).stdout == name + "\n"
    assert command("network", "rm", name, check=False).returncode == 1
    assert "not found" in command("network", "inspect", name, check=False).stderr


def test_containers_find_each_other_by_name(command: Run, name: str, containers: Containers) -> None:
    command("network", "create", name)
    web = containers.run(
        "sh", "-c", "mkdir /w; echo found >/w/index.html; httpd -f -h /w", network=name, network_mode=None
    )
    said = containers.output("wget", "-qO-", f"http://{web.name}/", network=name, network_mode=None)
    assert said == "found\n"
    refused = command("network", "rm", name, check=False)
    assert refused.returncode == 1
    assert "has active endpoints" in refused.stderr


def test_connect_and_disconnect_reach_the_container_and_its_files(
    command: Run, name: str, containers: Containers
) -> None:
    command("network", "create", "--subnet", "10.215.2.0/24", name)
    found = containers.run(network_mode="bridge")
    before = found.exec_run("cat /etc/resolv.conf").output
    command(*("network", "connect", "--ip", "10.215.2.40", "--alias", "extra", name, found.name))
    found.reload()
    place = found.attrs["NetworkSettings"]["Networks"][name]
    assert (place["IPAddress"], place["Aliases"], place["IPAMConfig"]["IPv4Address"]) == (
        "10.215.2.40",
        ["extra"],
        "10.215.2.40",
    )
    assert b"10.215.2.40" in found.exec_run("cat /etc/hosts").output
    assert b"nameserver 127.0.0.11" in found.exec_run("cat /etc/resolv.conf").output
    assert b"10.215.2.40" in found.exec_run("nslookup extra").output
    command("network", "disconnect", name, found.name)
    assert b"10.215.2.40" not in found.exec_run("cat /etc/hosts").output
    assert found.exec_run("cat /etc/resolv.conf").output == before
    found.reload()
    assert list(found.attrs["NetworkSettings"]["Networks"]) == ["bridge"]
    refused = command("network", "disconnect", name, found.name, check=False)
    assert "is not connected to network" in refused.stderr


def test_a_stopped_container_keeps_what_it_was_connected_to(command: Run, name: str, containers: Containers) -> None:
    command("network", "create", name)
    found = containers.create(network_mode="bridge")
    command("network", "connect", name, found.name)
    command("network", "disconnect", "bridge", found.name)
    found.start()
    found.reload()
    assert list(found.attrs["NetworkSettings"]["Networks"]) == [name]
    found.restart(timeout=0)
    found.reload()
    assert list(found.attrs["NetworkSettings"]["Networks"]) == [name]


def test_run_joins_several_networks_with_options_of_each(command: Run, name: str) -> None:
    command("network", "create", "--subnet", "10.215.3.0/24", name + "a")
    command("network", "create", "--subnet", "10.215.4.0/24", name + "b")
    said = command(
        *("run", "--rm", "--network", f"name={name}a,ip=10.215.3.30,alias=one"),
        *("--network", f"name={name}b,mac-address=02:42:00:00:00:99,gw-priority=3", "busybox"),
        *("sh", "-c", "ip addr; ip route; nslookup one"),
    ).stdout
    assert "10.215.3.30/24" in said
    assert "02:42:00:00:00:99" in said
    assert "default via 10.215.4.1 " in said
    assert "Address: 10.215.3.30" in said


def test_prune_removes_what_nobody_uses(command: Run, name: str, containers: Containers) -> None:
    for suffix, label in (("used", name), ("idle", name), ("other", "else")):
        command("network", "create", "--label", f"of={label}", name + suffix)
    containers.run(network=name + "used", network_mode=None)
    said = command("network", "prune", "-f", "--filter", f"label=of={name}").stdout
    assert said == f"Deleted Networks:\n{name}idle\n\n"
    left = command("network", "ls", "--format", "{{.Name}}", "--filter", f"name={name}").stdout.split()
    assert sorted(left) == [name + "other", name + "used"]


def test_system_prune_goes_through_networks(docker: Run, name: str, client: sdk.DockerClient) -> None:
    client.networks.create(name, labels={"mine": name})
    said = docker("system", "prune", "-f", "--filter", f"label=mine={name}", check=False).stdout
    assert f"Deleted Networks:\n{name}" in said


def test_legacy_links_give_hosts_and_environment(docker: Run, containers: Containers) -> None:
    web = containers.run(network_mode="bridge", environment={"COLOUR": "red"}, ports={"80/tcp": None})
    said = docker(
        "run", "--rm", "--link", f"{web.name}:db", "busybox", "sh", "-c", "cat /etc/hosts; env; ping -c1 db"
    ).stdout
    web.reload()
    address = web.attrs["NetworkSettings"]["IPAddress"]
    assert f"{address}\tdb {web.short_id} {web.name}\n" in said
    assert f"DB_PORT=tcp://{address}:80\n" in said
    assert f"DB_PORT_80_TCP_ADDR={address}\n" in said
    assert "DB_ENV_COLOUR=red\n" in said
    web.stop(timeout=0)
    refused = docker("run", "--rm", "--link", f"{web.name}:db", "busybox", "true", check=False)
    assert "Cannot link to a non running container" in refused.stderr


def test_a_link_follows_its_target_to_another_address(docker: Run, containers: Containers) -> None:
    target = containers.run(network_mode="bridge", ports={"80/tcp": None})
    web = containers.run(network_mode="bridge", links={target.name: "db"})
    target.reload()
    before = target.attrs["NetworkSettings"]["IPAddress"]
    target.stop(timeout=0)
    containers.run(network_mode="bridge")  # takes its turn in between
    target.start()
    target.reload()
    after = target.attrs["NetworkSettings"]["IPAddress"]
    assert before != after
    said = docker("exec", web.id, "sh", "-c", "cat /etc/hosts; env").stdout
    assert f"{after}\tdb {target.short_id} {target.name}\n" in said
    assert f"{before}\t" not in said
    assert f"DB_PORT_80_TCP_ADDR={after}\n" in said


def test_a_link_is_a_name_of_its_target_and_is_removed_alone(command: Run, containers: Containers) -> None:
    target = containers.run(network_mode="bridge")
    web = containers.run(network_mode="bridge", links={target.name: "db"})
    link = f"{web.name}/db"
    names = command("ps", "--no-trunc", "--filter", f"id={target.id}", "--format", "{{.Names}}").stdout.strip()
    assert names == f"{target.name},{link}"
    assert command("inspect", "--format", "{{.Id}}", link).stdout.strip() == target.id
    refused = command("rm", "--link", target.name, check=False)
    assert "cannot remove the default link name of the container" in refused.stderr
    assert command("rm", "--link", link).stdout.strip() == link
    web.reload()
    target.reload()
    assert (web.status, target.status) == ("running", "running")
    assert web.attrs["HostConfig"]["Links"] is None
    assert "\tdb " not in command("exec", web.id, "cat", "/etc/hosts").stdout
    assert command("rm", "--link", link, check=False).returncode == 1
    web.restart(timeout=0)
    assert "\tdb " not in command("exec", web.id, "cat", "/etc/hosts").stdout


def test_a_container_without_its_namespace_is_disconnected_by_force_alone(
    command: Run, name: str, client: sdk.DockerClient, containers: Containers
) -> None:
    network = client.networks.create(name)
    found = containers.run(network=name, network_mode=None)
    found.reload()
    handle = found.attrs["NetworkSettings"]["SandboxKey"]
    subprocess.run(["umount", handle], check=True)
    assert "is gone" in command("network", "disconnect", name, found.name, check=False).stderr
    command("network", "disconnect", "--force", name, found.name)
    network.reload()
    assert network.attrs["Containers"] == {}
    ghost = command("network", "disconnect", "--force", name, "ghost", check=False)
    assert ghost.returncode == 1
    assert "endpoint ghost not found" in ghost.stderr
    network.remove()


def test_the_default_bridge_has_ipv6_when_the_daemon_is_told_so(
    scratch: Path, busybox_image: Path, tmp_path: Path
) -> None:
    (tmp_path / "daemon.json").write_text(json.dumps({"ipv6": True, "fixed-cidr-v6": "fd00:215:6::/64"}))
    flag = f"--config-file={tmp_path}/daemon.json"
    with Daemon(scratch / "six", f"dw6{uuid.uuid4().hex[:8]}", flag) as daemon:
        daemon.import_image(busybox_image, "busybox:latest")
        client = daemon.client()
        shown = client.api.inspect_network("bridge")
        assert shown["EnableIPv6"]
        assert shown["IPAM"]["Config"][1]["Subnet"] == "fd00:215:6::/64"
        web = client.containers.run("busybox", ["sleep", "60"], detach=True)
        web.reload()
        place = web.attrs["NetworkSettings"]
        assert place["GlobalIPv6Address"].startswith("fd00:215:6::")
        said = web.exec_run(["sh", "-c", "cat /etc/hosts; ip -6 route"]).output.decode()
        assert f"{place['GlobalIPv6Address']}\t{web.short_id}\n" in said
        assert "default via fd00:215:6::1 dev eth0" in said
        client.close()


def test_events_tell_the_life_of_a_network(client: sdk.DockerClient, name: str, containers: Containers) -> None:
    network = client.networks.create(name)
    found = containers.run(network_mode="bridge")
    network.connect(found)
    network.disconnect(found)
    network.remove()
    since = 0
    events = client.events(
        since=since, until=int(__import__("time").time()) + 1, filters={"type": "network"}, decode=True
    )
    told = [
        (e["Action"], e["Actor"]["Attributes"].get("container", "")) for e in events if e["Actor"]["ID"] == network.id
    ]
    assert told == [("create", ""), ("connect", found.id), ("disconnect", found.id), ("destroy", "")]


def test_filters_choose_networks(client: sdk.DockerClient, name: str, containers: Containers) -> None:
    network = client.networks.create(name, labels={"tier": name})
    containers.run(network=name, network_mode=None)

    def names(**filters: object) -> set[str]:
        return {one.name for one in client.networks.list(filters=filters)}

    assert names(label=f"tier={name}") == names(id=network.id[:20]) == names(name=name) == {name}
    assert {"bridge", "host", "none"} == names(type="builtin")
    assert name in names(type="custom", driver="bridge", scope="local")
    assert name in names(dangling=False)
    assert name not in names(dangling=True)
    for wrong in ({"type": "odd"}, {"scope": "odd"}, {"dangling": "maybe"}, {"nosuch": "1"}):
        with pytest.raises(sdk.errors.APIError):
            client.networks.list(filters=wrong)


def test_ports_are_published_and_withdrawn_while_it_runs(
    daemon: Daemon, containers: Containers, tmp_path: Path
) -> None:
    web = containers.run(
        "sh", "-c", "mkdir /w; echo hi >/w/index.html; httpd -f -h /w", network_mode="bridge", ports={"80/tcp": None}
    )
    pid = web.attrs["State"].get("Pid") or containers.client.api.inspect_container(web.id)["State"]["Pid"]
    environment = {"HOME": str(tmp_path), "DOCKER_HOST": daemon.url, "PYTHONPATH": ":".join(sys.path)}

    def ours(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dockwright.cli", *words],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
        )

    web.reload()
    (port, *_) = {binding["HostPort"] for binding in web.ports["80/tcp"]}
    assert ours("update", "--publish-add", "127.0.0.1:18777:80", "--publish-rm", port, web.id).returncode == 0
    web.reload()
    assert web.ports["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "18777"}]
    assert web.attrs["State"]["Pid"] == pid
    refused = ours("update", "--publish-rm", "1", web.id)
    assert refused.returncode == 1
    assert "port 1/tcp is not published" in refused.stderr
    web.restart(timeout=0)
    web.reload()
    assert web.ports["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "18777"}]


def test_what_was_flushed_is_made_again(own_daemon: Daemon, tmp_path: Path) -> None:
    import urllib.request

    client = own_daemon.client()
    web = client.containers.run(
        "busybox",
        ["sh", "-c", "mkdir /w; echo hi >/w/index.html; httpd -f -h /w"],
        detach=True,
        ports={"80/tcp": ("127.0.0.1", 18778)},
    )
    tables = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout.split()
    (table,) = [one for one in tables if one == f"dockwright_{own_daemon._bridge}"]
    subprocess.run(["nft", "delete", "table", "inet", table], check=True)
    environment = {"HOME": str(tmp_path), "DOCKER_HOST": own_daemon.url, "PYTHONPATH": ":".join(sys.path)}
    subprocess.run(
        [sys.executable, "-m", "dockwright.cli", "system", "reconcile"], check=True, env=environment, timeout=60
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    assert opener.open("http://127.0.0.1:18778/", timeout=10).read() == b"hi\n"
    web.remove(force=True)
    client.close()
