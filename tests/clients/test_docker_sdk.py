"""The Docker SDK for Python: create, run and look at containers."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path

import docker as sdk
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import Healthcheck, LogConfig, Mount, Ulimit

from tests.clients.conftest import Containers
from tests.host import Daemon

pytestmark = pytest.mark.root


def until(container: Container, field: str, value: str) -> None:
    """Wait for `State.<field>`; the test's own time limit ends a wait that never comes true."""
    while True:
        container.reload()
        found = container.attrs["State"]
        for part in field.split("."):
            found = found[part]
        if found == value:
            return
        time.sleep(0.02)


def test_run_returns_what_the_container_said_and_removes_it(client: sdk.DockerClient) -> None:
    said = client.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2"], remove=True, network_mode="none")
    assert said == b"out\n"
    said = client.containers.run(
        "busybox", ["sh", "-c", "echo out; echo err >&2"], remove=True, stdout=False, stderr=True, network_mode="none"
    )
    assert said == b"err\n"


def test_run_streams_lines_as_they_come(client: sdk.DockerClient) -> None:
    lines = client.containers.run(
        "busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; done"], stream=True, remove=True, network_mode="none"
    )
    assert b"".join(lines) == b"1\n2\n3\n"


def test_run_raises_with_the_exit_code_and_stderr(client: sdk.DockerClient) -> None:
    with pytest.raises(ContainerError) as caught:
        client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True, network_mode="none")
    assert caught.value.exit_status == 3
    assert caught.value.stderr == b"bad\n"


def test_run_of_an_image_that_is_not_here_says_so(client: sdk.DockerClient) -> None:
    with pytest.raises((ImageNotFound, APIError)):
        client.containers.run("no-such-image:none", remove=True)
    with pytest.raises(ImageNotFound, match="No such image"):
        client.containers.create("no-such-image:none")


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/etc", 126), ("/etc/passwd", 126)])
def test_a_command_that_cannot_run_is_a_400_and_an_exit_code(containers: Containers, command: str, code: int) -> None:
    created = containers.create(command)
    with pytest.raises(APIError) as caught:
        created.start()
    assert caught.value.status_code == 400
    created.reload()
    assert created.attrs["State"]["ExitCode"] == code
    assert created.attrs["State"]["Error"]
    assert created.status == "created"


def test_user_environment_and_working_directory(containers: Containers) -> None:
    said = containers.output(
        "sh",
        "-c",
        "id -u; id -g; id -Gn; echo $A; pwd; echo $HOME",
        user="app",
        environment={"A": "b c"},
        working_dir="/made/for/me",
    )
    assert said.splitlines() == ["1000", "1000", "app audio staff", "b c", "/made/for/me", "/home/app"]


def test_the_entrypoint_precedes_the_command(containers: Containers) -> None:
    assert containers.output("two", entrypoint=["echo", "one"]) == "one two\n"


def test_hostname_domain_and_labels(containers: Containers) -> None:
    found = containers.run(hostname="boat", domainname="harbour.example", labels={"a": "b"})
    assert found.exec_run("hostname").output == b"boat\n"
    assert b"boat.harbour.example" in found.exec_run("cat /etc/hosts").output or (
        found.exec_run("cat /proc/sys/kernel/domainname").output == b"harbour.example\n"
    )
    assert found.labels["a"] == "b"
    plain = containers.run()
    assert plain.exec_run("hostname").output.decode().strip() == plain.id[:12]


def read_controller(container: Container, controller: str, name: str) -> str:
    path = next(Path("/sys/fs/cgroup").glob(f"{controller}/*/{container.id}/{name}"), None)
    if path is None:
        pytest.skip(f"cgroup v1's {controller}/{name} is missing on this host")
    return path.read_text().strip()


def test_limits_reach_the_cgroup(containers: Containers) -> None:
    found = containers.run(
        mem_limit="64m", memswap_limit="96m", cpu_shares=512, cpu_quota=50_000, cpu_period=100_000, pids_limit=33
    )
    assert read_controller(found, "memory", "memory.limit_in_bytes") == str(64 << 20)
    assert read_controller(found, "cpu*", "cpu.shares") == "512"
    assert read_controller(found, "cpu*", "cpu.cfs_quota_us") == "50000"
    assert read_controller(found, "pids", "pids.max") == "33"
    assert found.attrs["HostConfig"]["Memory"] == 64 << 20
    assert found.attrs["HostConfig"]["MemorySwap"] == 96 << 20


def test_nano_cpus_and_a_cpu_set(containers: Containers) -> None:
    found = containers.run(nano_cpus=500_000_000, cpuset_cpus="0")
    assert read_controller(found, "cpu*", "cpu.cfs_quota_us") == "50000"
    assert found.exec_run("grep Cpus_allowed_list /proc/self/status").output.split()[-1] == b"0"


def fetch(port: int) -> bytes:
    deadline = time.monotonic() + 10
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                said = b""
                while part := sock.recv(4096):
                    said += part
                if said:
                    return said
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def test_a_published_port_carries_real_traffic(containers: Containers) -> None:
    found = containers.run(
        "nc",
        "-ll",
        "-p",
        "8080",
        "-e",
        "echo",
        "ahoy",
        network_mode="bridge",
        ports={"8080/tcp": ("127.0.0.1", None), "9/udp": None},
    )
    found.reload()
    bindings = found.ports
    port = int(bindings["8080/tcp"][0]["HostPort"])
    assert bindings["8080/tcp"][0]["HostIp"] == "127.0.0.1"
    assert fetch(port) == b"ahoy\n"
    assert bindings["9/udp"]


def test_a_port_that_is_taken_is_refused_and_may_be_tried_again(containers: Containers) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        created = containers.create(network_mode="bridge", ports={"80/tcp": ("127.0.0.1", port)})
        with pytest.raises(APIError, match="already in use|already allocated"):
            created.start()
    created.start()
    until(created, "Status", "running")


def test_bind_mounts_read_and_write(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host")
    said = containers.output(
        "sh",
        "-c",
        "cat /both/given; echo back > /both/made; touch /ro/no 2>/dev/null || echo refused",
        volumes={str(tmp_path): {"bind": "/both", "mode": "rw"}, "/tmp": {"bind": "/ro", "mode": "ro"}},
    )
    assert said == "from the hostrefused\n"
    assert (tmp_path / "made").read_text() == "back\n"


def test_a_missing_bind_source_is_made_for_binds_and_refused_for_mounts(containers: Containers, tmp_path: Path) -> None:
    containers.output("true", volumes=[f"{tmp_path}/made:/made"])
    assert (tmp_path / "made").is_dir()
    with pytest.raises(APIError, match="bind source path does not exist") as caught:
        created = containers.create(mounts=[Mount("/x", f"{tmp_path}/missing", type="bind")])
        created.start()
    assert caught.value.status_code == 400


def test_tmpfs_and_volumes(containers: Containers) -> None:
    said = containers.output(
        "sh",
        "-c",
        "df -k /a | tail -1; grep ' /b ' /proc/mounts; echo kept > /kept/file; cat /kept/file",
        tmpfs={"/a": "size=1m"},
        mounts=[
            Mount("/b", None, type="tmpfs", tmpfs_size="2m", tmpfs_mode=0o700),
            Mount("/kept", f"sdk-{containers.mark}", type="volume"),
        ],
    )
    lines = said.splitlines()
    assert lines[0].split()[1] == "1024"
    assert "size=2048k" in lines[1]
    assert "mode=700" in lines[1]
    assert lines[2] == "kept"
    again = containers.output("cat", "/kept/file", mounts=[Mount("/kept", f"sdk-{containers.mark}", type="volume")])
    assert again == "kept\n"


def test_volumes_from_another_container(containers: Containers) -> None:
    first = containers.run("sh", "-c", "echo shared > /data/file; sleep 1000", volumes=["/data"])
    while first.exec_run("cat /data/file").exit_code:
        time.sleep(0.02)
    assert containers.output("cat", "/data/file", volumes_from=[first.name]) == "shared\n"


def test_a_read_only_root_lets_nothing_be_written_but_tmpfs(containers: Containers) -> None:
    said = containers.output("sh", "-c", "touch /x 2>&1; touch /tmp/x && echo fine", read_only=True, tmpfs={"/tmp": ""})
    assert "Read-only file system" in said
    assert said.endswith("fine\n")


def capabilities(text: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith("CapEff"))
    return int(line.split()[1], 16)


def test_capabilities_are_added_dropped_and_all_for_privileged(containers: Containers) -> None:
    status = ("cat", "/proc/self/status")
    default = capabilities(containers.output(*status))
    assert default == 0xA80425FB
    assert capabilities(containers.output(*status, cap_add=["NET_ADMIN"])) == default | 1 << 12
    assert capabilities(containers.output(*status, cap_drop=["CHOWN"])) == default & ~1
    assert capabilities(containers.output(*status, cap_drop=["ALL"])) == 0
    host = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    assert capabilities(containers.output(*status, privileged=True)) == int(host.split()[1], 16)


def test_sysctls_and_ulimits(containers: Containers) -> None:
    said = containers.output(
        "sh",
        "-c",
        "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax; ulimit -n; ulimit -Hn",
        sysctls={"net.ipv4.ip_default_ttl": "42", "kernel.msgmax": "4096"},
        ulimits=[Ulimit(name="nofile", soft=123, hard=456)],
    )
    assert said.split() == ["42", "4096", "123", "456"]


def test_a_device_of_the_host(containers: Containers) -> None:
    said = containers.output("sh", "-c", "head -c 4 /dev/mine | wc -c", devices=["/dev/zero:/dev/mine:r"])
    assert said.strip() == "4"


def test_an_init_is_pid_1_and_reaps(containers: Containers) -> None:
    found = containers.run("sleep", "1000", init=True)
    assert b"init" in found.exec_run("cat /proc/1/comm").output + found.exec_run("cat /proc/1/cmdline").output


def test_namespaces_of_the_host_and_of_another_container(containers: Containers) -> None:
    def namespace(container: Container, kind: str) -> str:
        return str(container.exec_run(f"readlink /proc/self/ns/{kind}").output.decode().strip())

    first = containers.run(ipc_mode="shareable", network_mode="bridge")
    shared = containers.run(
        pid_mode=f"container:{first.id}", ipc_mode=f"container:{first.name}", network_mode=f"container:{first.id}"
    )
    for kind in ("pid", "ipc", "net"):
        assert namespace(first, kind) == namespace(shared, kind)
    host = containers.run(pid_mode="host", ipc_mode="host", network_mode="host", uts_mode="host")
    for kind in ("pid", "ipc", "net", "uts"):
        assert namespace(host, kind) == os.readlink(f"/proc/self/ns/{kind}")
    for kind in ("pid", "ipc", "net", "uts", "mnt"):
        assert namespace(first, kind) != os.readlink(f"/proc/self/ns/{kind}")


def test_hosts_and_dns_files(containers: Containers) -> None:
    found = containers.run(
        network_mode="bridge",
        extra_hosts={"buoy": "10.1.2.3", "gate": "host-gateway"},
        dns=["192.0.2.53"],
        dns_search=["example.org"],
        dns_opt=["ndots:3"],
    )
    hosts = found.exec_run("cat /etc/hosts").output.decode()
    assert "10.1.2.3\tbuoy" in hosts
    assert "\tgate" in hosts
    found.reload()
    assert found.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] in hosts
    resolver = found.exec_run("cat /etc/resolv.conf").output.decode()
    assert "nameserver 192.0.2.53" in resolver
    assert "search example.org" in resolver
    assert "options ndots:3" in resolver


def test_a_health_check_turns_healthy_and_unhealthy(containers: Containers) -> None:
    check = Healthcheck(test=["CMD-SHELL", "test -e /tmp/well"], interval=50_000_000, retries=2, timeout=5_000_000_000)
    found = containers.run(healthcheck=check)
    found.reload()
    assert found.attrs["State"]["Health"]["Status"] in ("starting", "unhealthy")
    until(found, "Health.Status", "unhealthy")
    assert found.attrs["State"]["Health"]["FailingStreak"] >= 2
    found.exec_run("touch /tmp/well")
    until(found, "Health.Status", "healthy")
    assert found.health == "healthy"
    assert found.attrs["State"]["Health"]["Log"][-1]["ExitCode"] == 0


def test_on_failure_restarts_so_many_times(containers: Containers) -> None:
    found = containers.run("false", restart_policy={"Name": "on-failure", "MaximumRetryCount": 2})
    until(found, "Status", "exited")
    while found.attrs["RestartCount"] < 2:
        found.reload()
    until(found, "Status", "exited")
    assert found.attrs["RestartCount"] == 2
    assert found.attrs["State"]["ExitCode"] == 1


def test_always_restarts_until_stopped_by_hand(containers: Containers) -> None:
    found = containers.run("true", restart_policy={"Name": "always"})
    while found.attrs["RestartCount"] < 2:
        found.reload()
        time.sleep(0.02)
    found.stop(timeout=0)
    found.reload()
    assert found.status == "exited"


def test_log_drivers(containers: Containers) -> None:
    config = LogConfig(type="local", config={"max-size": "1m", "max-file": "2"})
    found = containers.run("echo", "kept", log_config=config)
    found.wait()
    assert found.logs() == b"kept\n"
    assert found.attrs["HostConfig"]["LogConfig"] == {"Type": "local", "Config": {"max-size": "1m", "max-file": "2"}}
    silent = containers.run("echo", "lost", log_config=LogConfig(type="none", config={}))
    silent.wait()
    with pytest.raises(APIError, match="configured logging driver does not support reading"):
        silent.logs()
    with pytest.raises(APIError, match="unknown log opt"):
        containers.create(log_config=LogConfig(type="json-file", config={"colour": "blue"}))


def test_auto_remove_removes_with_the_end(containers: Containers) -> None:
    found = containers.run("sleep", "1000", auto_remove=True, volumes=["/data"])
    found.kill()
    with pytest.raises(NotFound):
        while True:
            found.reload()
    while Path(found.attrs["Mounts"][0]["Source"]).exists():
        time.sleep(0.02)


# -- life ---------------------------------------------------------------------------------------------------------------


def test_stop_sends_the_stop_signal_and_kills_after_the_timeout(containers: Containers) -> None:
    polite = containers.run(
        "sh", "-c", "trap 'echo bye; exit 7' USR1; while :; do sleep 0.05; done", stop_signal="USR1"
    )
    while polite.exec_run("grep SigCgt /proc/1/status").output.split()[-1][-3:-2] not in b"23abef":
        time.sleep(0.02)
    polite.stop()
    assert polite.wait()["StatusCode"] == 7
    assert polite.logs() == b"bye\n"
    stubborn = containers.run("sleep", "1000")
    stubborn.stop(timeout=0)
    assert stubborn.wait()["StatusCode"] == 137


def test_kill_signals_wait_and_restart(containers: Containers) -> None:
    found = containers.run("sleep", "1000", init=True)
    while len(found.top()["Processes"]) < 2:  # a signal before init has its handlers would be lost, as anywhere
        time.sleep(0.05)
    found.kill("SIGTERM")
    assert found.wait()["StatusCode"] == 143
    found.restart(timeout=0)
    until(found, "Status", "running")
    with pytest.raises(APIError, match="[Ii]nvalid signal"):
        found.kill("SIGNONE")
    found.kill()
    assert found.wait()["StatusCode"] == 137
    with pytest.raises(APIError, match="is not running") as caught:
        found.kill()
    assert caught.value.status_code == 409


def test_wait_for_the_next_exit_and_for_removal(containers: Containers) -> None:
    created = containers.create("sh", "-c", "exit 5")
    codes: list[int] = []
    waiter = threading.Thread(target=lambda: codes.append(created.wait(condition="next-exit")["StatusCode"]))
    waiter.start()
    time.sleep(0.1)
    created.start()
    waiter.join()
    assert codes == [5]
    assert created.wait()["StatusCode"] == 5
    remover = threading.Thread(target=lambda: codes.append(created.wait(condition="removed")["StatusCode"]))
    remover.start()
    time.sleep(0.1)
    created.remove()
    remover.join()
    assert codes == [5, 5]


def test_pause_and_unpause(containers: Containers) -> None:
    found = containers.run()
    found.pause()
    found.reload()
    assert found.status == "paused"
    with pytest.raises(APIError, match="is paused, unpause the container before exec"):
        found.exec_run("true")
    with pytest.raises(APIError, match="already paused"):
        found.pause()
    found.unpause()
    assert found.exec_run("echo again").output == b"again\n"
    with pytest.raises(APIError, match="is not paused"):
        found.unpause()
    found.pause()
    found.stop(timeout=0)
    assert found.wait()["StatusCode"] == 137


def test_rename_and_names(client: sdk.DockerClient, containers: Containers) -> None:
    found = containers.run(name=f"one-{containers.mark}")
    with pytest.raises(APIError, match="already in use") as caught:
        containers.create(name=f"one-{containers.mark}")
    assert caught.value.status_code == 409
    found.rename(f"two-{containers.mark}")
    assert client.containers.get(f"two-{containers.mark}").id == found.id
    assert client.containers.get(found.id[:10]).id == found.id
    with pytest.raises(NotFound):
        client.containers.get(f"one-{containers.mark}")
    generated = containers.create()
    assert generated.name.count("_") == 1
    for bad in ("a", "-ab", "a/b", "ä" * 3):
        with pytest.raises(APIError, match="Invalid container name"):
            containers.create(name=bad)


def test_update_changes_the_limits_of_a_running_container(containers: Containers) -> None:
    found = containers.run(mem_limit="64m")
    found.update(mem_limit="128m", memswap_limit="256m", cpu_shares=256, restart_policy={"Name": "on-failure"})
    found.reload()
    assert found.attrs["HostConfig"]["Memory"] == 128 << 20
    assert found.attrs["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
    assert read_controller(found, "memory", "memory.limit_in_bytes") == str(128 << 20)
    assert read_controller(found, "cpu*", "cpu.shares") == "256"


def test_remove_refuses_what_runs_and_forgets_what_went(client: sdk.DockerClient, containers: Containers) -> None:
    found = containers.run()
    with pytest.raises(APIError, match="container is running") as caught:
        found.remove()
    assert caught.value.status_code == 409
    found.remove(force=True)
    with pytest.raises(NotFound, match="No such container"):
        client.api.inspect_container(found.id)


def test_prune_removes_what_does_not_run(client: sdk.DockerClient, containers: Containers) -> None:
    ended = containers.run("sh", "-c", "head -c 100000 /dev/zero > /file")
    ended.wait()
    running = containers.run()
    answer = client.containers.prune(filters={"label": f"test={containers.mark}"})
    assert answer["ContainersDeleted"] == [ended.id]
    assert answer["SpaceReclaimed"] >= 100_000
    running.reload()
    assert running.status == "running"


def test_list_filters(client: sdk.DockerClient, containers: Containers) -> None:
    running = containers.run(name=f"run-{containers.mark}", labels={"kind": "runs"}, volumes=["/data"])
    ended = containers.run("sh", "-c", "exit 3", name=f"end-{containers.mark}")
    ended.wait()
    created = containers.create(name=f"new-{containers.mark}")

    def names(all: bool = True, **filters: object) -> set[str]:
        filters["label"] = [f"test={containers.mark}", *filters.pop("label", [])]  # type: ignore[call-overload]
        return {found.name.split("-")[0] for found in client.containers.list(all=all, filters=filters)}

    assert names() == {"run", "end", "new"}
    assert names(all=False) == {"run"}
    assert names(status="running") == {"run"}
    assert names(status=["exited", "created"]) == {"end", "new"}
    assert names(all=False, status="exited") == {"end"}
    assert names(exited="3") == {"end"}
    assert names(name="run-") == {"run"}
    assert names(name=f"^/end-{containers.mark}$") == {"end"}
    assert names(id=running.id[:12]) == {"run"}
    assert names(label=["kind=runs"]) == {"run"}
    assert names(label=["kind"]) == {"run"}
    assert names(ancestor="busybox") == {"run", "end", "new"}
    assert names(ancestor="no-such-image") == set()
    assert names(before=created.id) == {"run", "end"}
    assert names(since=running.name) == {"end", "new"}
    assert names(volume="/data") == {"run"}
    assert names(network="none") == {"run", "end", "new"}
    assert names(health="none") == {"run", "end", "new"}
    assert names(**{"is-task": "false"}) == {"run", "end", "new"}
    assert len(client.containers.list(limit=1, filters={"label": f"test={containers.mark}"})) == 1
    for bad in ({"status": "asleep"}, {"colour": "blue"}, {"health": "fine"}, {"exited": "x"}):
        with pytest.raises(APIError) as caught:
            client.containers.list(filters=bad)
        assert caught.value.status_code == 400


def test_inspect_shows_what_was_asked_for(containers: Containers) -> None:
    found = containers.run(
        "sleep",
        "1000",
        environment=["A=b"],
        working_dir="/tmp",
        cap_add=["NET_ADMIN"],
        security_opt=["no-new-privileges"],
        mem_limit="32m",
        dns=["192.0.2.1"],
    )
    found.reload()
    shown = found.attrs
    assert shown["Path"] == "sleep"
    assert shown["Args"] == ["1000"]
    assert shown["Config"]["Env"][0] == "A=b"
    assert shown["Config"]["WorkingDir"] == "/tmp"
    assert shown["Config"]["Image"] == "busybox"
    assert shown["Image"].startswith("sha256:")
    assert shown["State"]["Pid"] > 0
    assert shown["State"]["StartedAt"] > shown["Created"]
    assert shown["HostConfig"]["CapAdd"] in (["NET_ADMIN"], ["CAP_NET_ADMIN"])
    assert shown["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    assert shown["HostConfig"]["MemorySwap"] == 64 << 20
    assert shown["HostConfig"]["NetworkMode"] == "none"
    assert shown["HostConfig"]["ShmSize"] == 64 << 20
    assert Path(shown["HostsPath"]).is_file()
    assert Path(shown["LogPath"]).is_file()
    sized = containers.client.api.containers(size=True, filters={"id": found.id})[0]
    assert sized["SizeRw"] >= 0
    assert sized["SizeRootFs"] > 1 << 20


# -- looking inside -------------------------------------------------------------------------------------------------------


def test_top_lists_processes(containers: Containers) -> None:
    found = containers.run("sh", "-c", "sleep 999; true")
    table = found.top()
    column = table["Titles"].index("CMD")
    assert any("sleep 999" in row[column] for row in table["Processes"])
    assert found.top(ps_args="-o pid,args")["Titles"] == ["PID", "COMMAND"]
    found.stop(timeout=0)
    with pytest.raises(APIError, match="is not running"):
        found.top()


def test_stats_once_and_streamed(containers: Containers) -> None:
    found = containers.run("sh", "-c", "while :; do :; done", network_mode="bridge")
    once = found.stats(stream=False)
    assert once["id"] == found.id
    assert once["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert once["precpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert once["memory_stats"]["usage"] > 0
    assert once["pids_stats"]["current"] >= 1
    assert "eth0" in once["networks"]
    stream = found.stats(stream=True, decode=True)
    first, second = next(stream), next(stream)
    stream.close()
    assert second["cpu_stats"]["cpu_usage"]["total_usage"] > first["cpu_stats"]["cpu_usage"]["total_usage"]


def test_diff_names_what_changed(containers: Containers) -> None:
    found = containers.run("sh", "-c", "touch /tmp/new; rm /etc/os-release; echo x >> /etc/group; mkdir /dir")
    found.wait()
    assert {(entry["Path"], entry["Kind"]) for entry in found.diff()} == {
        ("/tmp", 0),
        ("/tmp/new", 1),
        ("/etc", 0),
        ("/etc/os-release", 2),
        ("/etc/group", 0),
        ("/dir", 1),
    }
    assert containers.create().diff() in (None, [])


def test_events_tell_the_whole_life(client: sdk.DockerClient, containers: Containers) -> None:
    since = time.time()
    found = containers.run(name=f"told-{containers.mark}")
    found.exec_run("true")
    found.pause()
    found.unpause()
    found.rename(f"retold-{containers.mark}")
    found.kill()
    found.wait()
    found.remove()
    stream = client.events(since=since, until=time.time() + 0.05, filters={"container": found.id}, decode=True)
    told = list(stream)
    actions = [event["Action"].split(":")[0] for event in told]
    expected = "create start exec_create exec_start exec_die pause unpause rename kill die destroy".split()
    assert [action for action in actions if action not in ("attach",)] == expected
    assert told[0]["Actor"]["Attributes"]["image"] == "busybox"
    assert told[0]["Actor"]["Attributes"]["test"] == containers.mark
    assert told[-1]["status"] == "destroy"
    assert told[0]["timeNano"] // 10**9 == told[0]["time"]
    died = next(event for event in told if event["Action"] == "die")
    assert died["Actor"]["Attributes"]["exitCode"] == "137"
    only = client.events(
        since=since,
        until=time.time() + 0.05,
        filters={"event": ["start", "die"], "label": f"test={containers.mark}", "type": "container"},
        decode=True,
    )
    assert [event["Action"] for event in only] == ["start", "die"]
    assert json.loads(json.dumps(told))


def test_info_version_ping_and_disk_usage(client: sdk.DockerClient) -> None:
    assert client.ping()
    info = client.info()
    assert info["OSType"] == "linux"
    assert "crun" in info["Runtimes"] or "runc" in info["Runtimes"]
    assert client.version()["ApiVersion"] == "1.51"
    usage = client.df()
    assert any("busybox:latest" in image["RepoTags"] for image in usage["Images"])


def test_the_version_is_negotiated(daemon: Daemon) -> None:
    for version in ("auto", "1.24"):
        client = sdk.DockerClient(base_url=daemon.url, version=version)
        assert client.api._version == ("1.51" if version == "auto" else version) or version == "auto"
        assert client.info()["ServerVersion"]
        client.close()
