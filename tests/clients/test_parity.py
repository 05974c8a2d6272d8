"""Where a user of Docker would be surprised: what dockerd and the docker command do in the corners, expected of this daemon."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import docker as sdk
import pytest
from docker.errors import APIError
from docker.models.containers import Container

from dockwright.container.mounts import parse_bind
from dockwright.errors import Invalid
from dockwright.network.files import etc_hosts
from dockwright.runtime.oci import start_error
from tests.archives import files
from tests.clients.conftest import Containers

pytestmark = pytest.mark.root


@pytest.fixture
def running(containers: Containers) -> Container:
    return containers.run()


def packed(name: str, content: bytes) -> bytes:
    return files({name: content})


def names_in(container: Container, path: str) -> list[str]:
    stream, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        return tar.getnames()


# -- commands that cannot be run -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("/no/such", 127, 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
        ("/etc", 126, 'exec: "/etc": permission denied'),
        ("", 127, 'exec: "": executable file not found in $PATH'),
    ],
)
@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_a_command_that_cannot_be_run_is_told_as_docker_does(
    containers: Containers, command: str, code: int, reason: str, runtime: str
) -> None:
    made = containers.create(command, runtime=runtime)
    with pytest.raises(APIError) as refused:
        made.start()
    assert reason in refused.value.explanation
    assert refused.value.status_code == 400
    made.reload()
    assert made.attrs["State"]["ExitCode"] == code


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("nosuch", 127, b'exec: "nosuch": executable file not found in $PATH'),
        ("/etc/passwd", 126, b'exec: "/etc/passwd": permission denied'),
        ("", 127, b'exec: "": executable file not found in $PATH'),
    ],
)
def test_an_exec_that_cannot_be_run_is_told_as_docker_does(
    running: Container, command: str, code: int, reason: bytes
) -> None:
    for terminal in (False, True):
        found, said = running.exec_run([command], tty=terminal)
        assert (found, said) == (code, b"OCI runtime exec failed: " + reason + b": unknown\r\n")


def test_a_detached_exec_that_cannot_be_run_is_an_error(running: Container, client: sdk.DockerClient) -> None:
    created = client.api.exec_create(running.id, ["nosuch"])
    with pytest.raises(APIError, match="executable file not found"):
        client.api.exec_start(created["Id"], detach=True)
    assert client.api.exec_inspect(created["Id"])["ExitCode"] == 127


def test_a_prompt_on_stderr_arrives_while_the_exec_goes_on(running: Container) -> None:
    for terminal in (False, True):
        _, stream = running.exec_run(["sh", "-c", "printf 'prompt> ' >&2; sleep 60"], stream=True, tty=terminal)
        assert next(stream) == b"prompt> "


def test_the_kernels_reasons_are_in_lower_case() -> None:
    error = start_error("crun: open `/proc/sys/net/bad`: No such file or directory")
    assert str(error).endswith("no such file or directory: unknown")
    assert error.exit_code == 127


def test_a_file_as_working_directory_is_refused(containers: Containers) -> None:
    with pytest.raises(APIError, match="cannot mkdir: /etc/passwd is not a directory"):
        containers.run("pwd", working_dir="/etc/passwd")


def test_the_init_program_ends_with_127_for_an_unknown_command(containers: Containers) -> None:
    assert containers.run("nosuch", init=True).wait()["StatusCode"] == 127


# -- users -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "extra", "groups"),
    [
        ("", [], "0 50"),
        ("app", [], "29 50 1000"),
        ("1000:50", [], "50"),
        ("app:staff", ["audio", "77"], "29 50 77"),
        ("4242", [], "0"),
    ],
)
def test_the_primary_group_is_among_the_supplementary_ones(
    containers: Containers, user: str, extra: list[str], groups: str
) -> None:
    said = containers.output("sh", "-c", "grep Groups /proc/self/status", user=user, group_add=extra)
    assert sorted(said.split()[1:], key=int) == groups.split()


@pytest.mark.parametrize("user", ["-1", "99999999999", "0:-1"])
def test_ids_out_of_range_are_told(containers: Containers, user: str) -> None:
    with pytest.raises(APIError, match="uids and gids must be in range 0-2147483647"):
        containers.run("true", user=user)


# -- options ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cap_add": ["nosuch"]}, 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'),
        ({"cap_drop": ["nosuch"]}, 'invalid CapDrop: unknown capability: "CAP_NOSUCH"'),
        ({"cpuset_cpus": "999"}, "Requested CPUs are not available - requested 999, available: "),
        ({"cpuset_cpus": "x"}, "Invalid value x for cpuset cpus: invalid format: x"),
        ({"cpuset_mems": "99"}, "Requested memory nodes are not available - requested 99, available: "),
        ({"devices": ["/dev/nosuch"]}, 'gathering device information while adding custom device "/dev/nosuch"'),
        ({"network_mode": "container:"}, "invalid container format container:<name|id>"),
        ({"network_mode": "container:nosuch"}, "No such container: nosuch"),
        ({"pid_mode": "container:nosuch"}, "No such container: nosuch"),
    ],
)
def test_bad_options_are_refused_in_dockers_words(
    containers: Containers, options: dict[str, object], words: str
) -> None:
    with pytest.raises(APIError) as refused:
        containers.run("true", **options)
    assert words in refused.value.explanation
    assert refused.value.status_code != 404, "a client would pull the image and try again"


def test_a_shared_network_exposes_no_ports(client: sdk.DockerClient, running: Container) -> None:
    host = client.api.create_host_config(network_mode=f"container:{running.id}")
    with pytest.raises(APIError, match="conflicting options: port exposing and the container type network mode"):
        client.api.create_container("busybox", ["true"], ports=[80], host_config=host)


def test_no_limit_of_processes_is_minus_one(containers: Containers) -> None:
    said = containers.output(
        "sh", "-c", "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>&-; true", pids_limit=-1
    )
    assert said.split() == ["max"]


def test_a_negative_quota_is_none(containers: Containers) -> None:
    assert containers.output("true", cpu_quota=-7) == ""


def test_limits_the_kernel_has_no_control_for_are_discarded_with_a_warning(client: sdk.DockerClient) -> None:
    host = client.api.create_host_config(network_mode="none", blkio_weight=300)
    made = client.api.create_container("busybox", ["true"], host_config=host)
    try:
        warned = any("Block I/O weight" in text for text in made["Warnings"] or [])
        kept = client.api.inspect_container(made["Id"])["HostConfig"]["BlkioWeight"]
        assert kept == (0 if warned else 300)
        client.api.start(made["Id"])
    finally:
        client.api.remove_container(made["Id"], force=True)


@pytest.mark.parametrize("mode", ["ro,rw", "z,Z", "rslave,rshared", "bad"])
def test_modes_of_a_bind_that_contradict_each_other_are_refused(mode: str) -> None:
    with pytest.raises(Invalid, match=f"invalid mode: {mode}"):
        parse_bind(f"/src:/dst:{mode}")


def test_propagation_from_a_mount_that_does_not_propagate_is_refused(containers: Containers, tmp_path: Path) -> None:
    table = [line.partition(" - ")[0].split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    over = max((row for row in table if str(tmp_path).startswith(row[4])), key=lambda row: len(row[4]))
    if any(field.startswith("shared:") for field in over[6:]):
        pytest.skip("the file system of the temporary directory is a shared mount")
    with pytest.raises(APIError, match="is mounted on .* but it is not a shared mount"):
        containers.run("true", volumes=[f"{tmp_path}:/m:rshared"])


def test_a_dotted_host_name_has_its_short_form_too() -> None:
    assert etc_hosts("my.host.name", ips=["10.0.0.2"]).splitlines()[-1] == "10.0.0.2\tmy.host.name my"
    assert etc_hosts("my", "example.org", ["10.0.0.2"]).splitlines()[-1] == "10.0.0.2\tmy.example.org my"


def test_a_volume_does_not_hide_the_hosts_file(containers: Containers, client: sdk.DockerClient) -> None:
    said = containers.output("cat", "/etc/hostname", hostname="visible", volumes=["parity-etc:/etc:nocopy"])
    assert said == "visible\n"


def test_inspect_does_not_list_tmpfs_twice(containers: Containers) -> None:
    made = containers.create("true", tmpfs={"/t": "size=1m"}, mounts=[sdk.types.Mount("/t2", None, type="tmpfs")])
    made.reload()
    assert made.attrs["HostConfig"]["Tmpfs"] == {"/t": "size=1m"}
    assert [point["Destination"] for point in made.attrs["Mounts"]] == ["/t2"]


def test_one_word_stands_for_a_list_of_one(client: sdk.DockerClient) -> None:
    body = {"Image": "busybox", "Cmd": "true", "Entrypoint": "sh", "HostConfig": {"NetworkMode": "none"}}
    made = client.api._result(client.api._post_json(client.api._url("/containers/create"), body), json=True)
    found = client.api.inspect_container(made["Id"])
    client.api.remove_container(made["Id"])
    assert (found["Config"]["Cmd"], found["Config"]["Entrypoint"]) == (["true"], ["sh"])


def test_start_takes_no_host_configuration(containers: Containers, client: sdk.DockerClient) -> None:
    made = containers.create("true")
    url = client.api._url("/containers/{0}/start", made.id)
    with pytest.raises(APIError, match="non-empty request body"):
        client.api._result(client.api._post_json(url, {"Binds": ["/:/host"]}))
    client.api._result(client.api._post_json(url, {}))


def test_details_of_a_log_are_shown_after_the_end_too(containers: Containers, client: sdk.DockerClient) -> None:
    log = sdk.types.LogConfig(type="json-file", config={"labels": "a", "env": "B"})
    made = containers.run("echo", "x", log_config=log, labels={"a": "1"}, environment={"B": "2"})
    made.wait()
    url = client.api._url("/containers/{0}/logs", made.id)
    answer = client.api._get(url, params={"stdout": 1, "details": 1}).content
    assert answer[8:] == b"B=2,a=1 x\n"


def test_a_log_is_whole_once_the_end_is_seen(containers: Containers) -> None:
    for _ in range(10):
        made = containers.run("printf", "no end of line")
        while made.status != "exited":
            made.reload()
        assert made.logs() == b"no end of line"


def test_a_tmpfs_is_as_open_as_the_directory_it_covers(containers: Containers) -> None:
    made = {"/root": "", "/var/log": "", "/home/app": "mode=750", "/fresh": ""}
    said = containers.output("stat", "-c", "%n %a", *made, tmpfs=made)
    assert said.splitlines() == ["/root 700", "/var/log 755", "/home/app 750", "/fresh 1777"]


def test_a_container_in_anothers_network_has_its_host_name(containers: Containers) -> None:
    donor = containers.run(hostname="donor", domainname="example.org")
    shown = "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname"
    assert containers.output("sh", "-c", shown, network_mode=f"container:{donor.id}") == "donor\nexample.org\n"


def test_limits_that_are_none_are_shown_as_none(client: sdk.DockerClient) -> None:
    host = client.api.create_host_config(network_mode="none", mem_swappiness=-1)
    made = client.api.create_container("busybox", ["true"], host_config=host | {"PidsLimit": 0})
    shown = client.api.inspect_container(made["Id"])["HostConfig"]
    client.api.remove_container(made["Id"])
    assert (shown["PidsLimit"], shown["MemorySwappiness"]) == (None, None)


@pytest.mark.parametrize("pattern", ["^/parity-named$", "^parity-named$", "ity-nam", "/parity"])
def test_the_name_filter_takes_names_with_and_without_a_slash(
    containers: Containers, client: sdk.DockerClient, pattern: str
) -> None:
    made = containers.create("true", name="parity-named")
    found = client.api.containers(all=True, filters={"name": pattern})
    assert [entry["Id"] for entry in found] == [made.id]


# -- verbs -----------------------------------------------------------------------------------------------------------------


def test_kill_says_whom_it_could_not_kill(containers: Containers, client: sdk.DockerClient) -> None:
    made = containers.create("true", name="unkillable")
    with pytest.raises(APIError, match=f"cannot kill container: unkillable: container {made.id} is not running"):
        client.api.kill("unkillable")
    with pytest.raises(APIError, match="cannot kill container: nosuch: No such container: nosuch"):
        client.api.kill("nosuch")


def test_update_keeps_to_one_way_of_limiting_processor_time(running: Container, client: sdk.DockerClient) -> None:
    client.api.update_container(running.id, cpu_quota=50000)
    with pytest.raises(APIError, match="Nano CPUs cannot be updated as CPU Quota has already been set"):
        client.api._result(
            client.api._post_json(client.api._url("/containers/{0}/update", running.id), {"NanoCpus": 10**9})
        )


def test_update_lifts_the_limit_of_processes(running: Container, client: sdk.DockerClient) -> None:
    def update(limit: int) -> str:
        url = client.api._url("/containers/{0}/update", running.id)
        client.api._result(client.api._post_json(url, {"PidsLimit": limit}))
        said = running.exec_run(
            ["sh", "-c", "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null"]
        ).output
        return bytes(said).decode().strip()

    assert update(20) == "20"
    assert update(-1) == "max"


def test_a_restart_policy_does_not_come_to_a_container_that_removes_itself(containers: Containers) -> None:
    made = containers.run(auto_remove=True)
    with pytest.raises(APIError, match="Restart policy cannot be updated because AutoRemove is enabled"):
        made.update(restart_policy={"Name": "always"})


@pytest.mark.parametrize("filters", [{"is-task": "maybe"}, {"publish": "bad"}, {"expose": "80-70"}, {"status": "bad"}])
def test_a_bad_filter_is_told_even_where_it_finds_nothing(client: sdk.DockerClient, filters: dict[str, str]) -> None:
    with pytest.raises(APIError) as refused:
        client.api.containers(filters=filters)
    assert refused.value.status_code == 400


# -- files of a container at rest ------------------------------------------------------------------------------------------


def test_volumes_of_a_container_at_rest_are_copied_to_and_from(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("on the host")
    made = containers.create(
        "sh", "-c", "cat /vol/in /m/kept", volumes=["/vol", f"{tmp_path}:/m:ro", f"{tmp_path}/kept:/one"]
    )
    assert made.put_archive("/vol", packed("in", b"to the volume, "))
    assert names_in(made, "/vol") == ["vol", "vol/in"]
    assert names_in(made, "/m") == ["m", "m/kept"]
    assert names_in(made, "/one") == ["one"]
    with pytest.raises(APIError, match="mounted volume is marked read-only"):
        made.put_archive("/m", packed("new", b""))
    made.start()
    assert made.wait()["StatusCode"] == 0
    assert made.logs() == b"to the volume, on the host"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


# -- what is to come -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/swarm", "Swarm is not part of this release"),
        ("/nothing", "page not found"),
    ],
)
def test_what_this_release_lacks_is_said(client: sdk.DockerClient, path: str, words: str) -> None:
    answer = client.api._get(client.api._url(path))
    assert answer.status_code == 404
    assert answer.json()["message"].endswith(words)
