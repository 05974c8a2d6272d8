"""Every command and option against a small engine: what is asked of it, what is printed, and the exit status."""

from __future__ import annotations

import base64
import io
import json
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.unit.client.server import Engine, Request, answer

from dockwright.cli.main import run

CONTAINER = {
    "Id": "c" * 64,
    "Name": "/web",
    "State": {"Status": "running", "Running": True},
    "Config": {"Tty": False, "OpenStdin": True},
    "HostConfig": {"AutoRemove": False},
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]}
    },
}
ROW = {
    "Id": "c" * 64, "Names": ["/web", "/other/alias"], "Image": "busybox", "ImageID": "sha256:" + "a" * 64,
    "Command": "sh -c 'echo \"hello world\"'", "Created": 1_700_000_000, "State": "running", "Status": "Up 2 hours",
    "Labels": {"b": "2", "a": "1"}, "Mounts": [{"Type": "volume", "Name": "data-of-the-application", "Driver": "local"}],
    "NetworkSettings": {"Networks": {"bridge": {}}},
    "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}, {"PrivatePort": 443, "Type": "tcp"}],
    "SizeRw": 1234, "SizeRootFs": 2_000_000,
}  # fmt: skip
IMAGE = {"Id": "sha256:" + "a" * 64, "RepoTags": ["busybox:latest"], "RepoDigests": ["busybox@sha256:" + "d" * 64],
         "Created": 1_700_000_000, "Size": 1_984_000, "SharedSize": -1, "Containers": -1}  # fmt: skip


@pytest.fixture
def engine(fake_engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    monkeypatch.setenv("DOCKER_HOST", fake_engine.url)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("TZ", "UTC")
    fake_engine.answers.update(
        {
            "GET /containers/json": answer([ROW]),
            "GET /containers/web/json": answer(CONTAINER),
            f"GET /containers/{'c' * 64}/json": answer(CONTAINER),
            "GET /images/json": answer([IMAGE]),
            "GET /images/busybox/json": answer(IMAGE),
            "GET /images/busybox/history": answer(
                [{"Id": "sha256:" + "a" * 64, "Created": 0, "CreatedBy": "sh", "Size": 5}]
            ),
        }
    )
    return fake_engine


def asked(engine: Engine, key: str) -> dict[str, str]:
    """The query of the last such request, one value a name."""
    return {name: values[0] for name, values in parse_qs(engine.asked(key).query).items()}


# A command line, the request it must make, and the query that must arrive with it.
WEB = "/containers/web"
QUERIES: list[tuple[list[str], str, dict[str, str]]] = [
    (["ps"], "GET /containers/json", {}),
    (["ps", "-a"], "GET /containers/json", {"all": "1"}),
    (["ps", "-n", "3"], "GET /containers/json", {"limit": "3"}),
    (["ps", "-l"], "GET /containers/json", {"limit": "1"}),
    (["ps", "-s"], "GET /containers/json", {"size": "1"}),
    (["ps", "-f", "status=exited", "-f", "label=a=b"], "GET /containers/json",
     {"filters": '{"status":{"exited":true},"label":{"a=b":true}}'}),
    (["ps", "--format", "{{.Size}}"], "GET /containers/json", {"size": "1"}),
    (["stop", "-t", "0", "-s", "INT", "web"], f"POST {WEB}/stop", {"t": "0", "signal": "INT"}),
    (["stop", "--time", "5", "web"], f"POST {WEB}/stop", {"t": "5"}),
    (["stop", "web"], f"POST {WEB}/stop", {}),
    (["restart", "-t", "-1", "-s", "INT", "web"], f"POST {WEB}/restart", {"t": "-1", "signal": "INT"}),
    (["kill", "-s", "HUP", "web"], f"POST {WEB}/kill", {"signal": "HUP"}),
    (["pause", "web"], f"POST {WEB}/pause", {}),
    (["unpause", "web"], f"POST {WEB}/unpause", {}),
    (["rename", "web", "new"], f"POST {WEB}/rename", {"name": "new"}),
    (["rm", "-f", "-v", "-l", "/web"], f"DELETE {WEB}", {"force": "1", "v": "1", "link": "1"}),
    (["start", "--checkpoint=x", "--checkpoint-dir=/d", "--detach-keys=ctrl-a", "web"], f"POST {WEB}/start",
     {"checkpoint": "x", "checkpoint-dir": "/d", "detachKeys": "ctrl-a"}),
    (["container", "inspect", "-s", "web"], f"GET {WEB}/json", {"size": "1"}),
    (["inspect", "-s", "web"], f"GET {WEB}/json", {"size": "1"}),
    (["logs", "--details", "-f", "--since=1", "--until=2.5", "-n", "7", "-t", "web"], f"GET /containers/{'c' * 64}/logs",
     {"details": "1", "follow": "1", "since": "1", "until": "2.5", "tail": "7", "timestamps": "1",
      "stdout": "1", "stderr": "1"}),
    (["container", "prune", "-f", "--filter", "until=1h"], "POST /containers/prune", {"filters": '{"until":{"1h":true}}'}),
    (["commit", "-a", "me", "-c", "CMD x", "-m", "why", "--no-pause", "web", "r:5/i:t"], "POST /commit",
     {"container": "web", "repo": "r:5/i", "tag": "t", "author": "me", "comment": "why", "changes": "CMD x", "pause": "0"}),
    (["top", "web", "-o", "pid"], f"GET {WEB}/top", {"ps_args": "-o pid"}),
    (["images", "-a", "-f", "dangling=true"], "GET /images/json", {"all": "1", "filters": '{"dangling":{"true":true}}'}),
    (["images", "busybox"], "GET /images/json", {"filters": '{"reference":{"busybox":true}}'}),
    (["images", "--tree"], "GET /images/json", {"manifests": "1"}),
    (["tag", "busybox", "r:5000/x"], "POST /images/busybox/tag", {"repo": "r:5000/x", "tag": "latest"}),
    (["rmi", "-f", "--no-prune", "--platform", "linux/arm64", "busybox"], "DELETE /images/busybox",
     {"force": "1", "noprune": "1", "platforms": '{"architecture":"arm64","os":"linux"}'}),
    (["image", "inspect", "--platform", "linux/arm/v7", "busybox"], "GET /images/busybox/json",
     {"platform": '{"architecture":"arm","os":"linux","variant":"v7"}'}),
    (["history", "--platform", "arm64", "busybox"], "GET /images/busybox/history",
     {"platform": '{"architecture":"arm64","os":"linux"}'}),
    (["image", "prune", "-f", "-a", "--filter", "until=1h"], "POST /images/prune",
     {"filters": '{"until":{"1h":true},"dangling":{"false":true}}'}),
    (["events", "--since=5", "--until=6", "-f", "type=container"], "GET /events",
     {"since": "5", "until": "6", "filters": '{"type":{"container":true}}'}),
    (["system", "df"], "GET /system/df", {}),
    (["volume", "create", "data"], "POST /volumes/create", {}),
    (["volume", "ls", "-f", "dangling=true"], "GET /volumes", {"filters": '{"dangling":{"true":true}}'}),
    (["volume", "inspect", "data"], "GET /volumes/data", {}),
    (["volume", "rm", "-f", "data"], "DELETE /volumes/data", {"force": "1"}),
    (["volume", "rm", "data@one"], "DELETE /volumes/data/snapshots/one", {}),
    (["volume", "prune", "-fa", "--filter", "label=a"], "POST /volumes/prune",
     {"filters": '{"label":{"a":true},"all":{"true":true}}'}),
    (["volume", "snapshot", "data@one"], "POST /volumes/data/snapshots", {"tag": "one"}),
    (["volume", "snapshot", "--no-pause", "data@one"], "POST /volumes/data/snapshots", {"tag": "one", "pause": "0"}),
    (["volume", "snapshots", "data"], "GET /volumes/data/snapshots", {}),
    (["volume", "restore", "--no-pause", "data@one"], "POST /volumes/data/restore", {"tag": "one", "pause": "0"}),
    (["volume", "clone", "data@one", "new"], "POST /volumes/data/clone", {"name": "new", "tag": "one"}),
    (["volume", "clone", "--no-pause", "data", "new"], "POST /volumes/data/clone", {"name": "new", "pause": "0"}),
    (["volume", "rename", "data", "new"], "POST /volumes/data/rename", {"name": "new"}),
    (["volume", "export", "-o", "/dev/null", "--no-pause", "data@one"], "GET /volumes/data/export",
     {"tag": "one", "pause": "0"}),
    (["volume", "import", "-i", "/dev/null", "--replace", "--no-pause", "data"], "POST /volumes/data/import",
     {"replace": "1", "pause": "0"}),
    (["stats", "--no-stream", "web"], f"GET {WEB}/stats", {"stream": "0"}),
    (["stats", "--no-stream", "-a"], "GET /containers/json", {"all": "1"}),
]  # fmt: skip
BODIES: dict[str, Any] = {
    "POST /commit": {"Id": "sha256:1"},
    "GET /containers/web/top": {"Titles": ["PID"], "Processes": [["1"]]},
    "POST /containers/prune": {"ContainersDeleted": ["x"], "SpaceReclaimed": 5},
    "POST /images/prune": {"ImagesDeleted": [{"Untagged": "a"}, {"Deleted": "b"}], "SpaceReclaimed": 5},
    "DELETE /images/busybox": [{"Untagged": "busybox:latest"}],
    "GET /system/df": {"LayersSize": 0},
    "POST /volumes/create": {"Name": "data"},
    "GET /volumes": {"Volumes": [{"Name": "data", "Driver": "local"}]},
    "GET /volumes/data": {"Name": "data"},
    "GET /volumes/data/snapshots": [{"Volume": "data", "Tag": "one", "CreatedAt": "2026-01-02T03:04:05Z", "Size": 1}],
    "POST /volumes/prune": {"VolumesDeleted": ["data"], "SpaceReclaimed": 5},
    "POST /volumes/data/clone": {"Name": "new"},
    "POST /volumes/data/import": {"Name": "data"},
}


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ([], {"Name": "", "Driver": "local"}),
        (["-d", "other", "data"], {"Name": "data", "Driver": "other"}),
        (
            ["--label", "a=b", "--label", "c", "data"],
            {"Name": "data", "Driver": "local", "Labels": {"a": "b", "c": ""}},
        ),
        (
            ["-o", "type=tmpfs", "-o", "o=size=1m,uid=5", "data"],
            {"Name": "data", "Driver": "local", "DriverOpts": {"type": "tmpfs", "o": "size=1m,uid=5"}},
        ),
        (
            [
                "--group",
                "g",
                "--limit-bytes",
                "1g",
                "--topology-required",
                "a=b,c=d",
                "--type",
                "mount",
                "--secret",
                "k=s",
            ],
            {
                "Name": "",
                "Driver": "local",
                "ClusterVolumeSpec": {
                    "Group": "g",
                    "AccessMode": {"Scope": "single", "Sharing": "none", "MountVolume": {}},
                    "Availability": "active",
                    "CapacityRange": {"RequiredBytes": 0, "LimitBytes": 1 << 30},
                    "Secrets": [{"Key": "k", "Secret": "s"}],
                    "AccessibilityRequirements": {"Requisite": [{"Segments": {"a": "b", "c": "d"}}], "Preferred": []},
                },
            },
        ),
    ],
)
def test_what_a_volume_is_to_be_reaches_the_request(
    engine: Engine, words: list[str], body: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    engine.answers["POST /volumes/create"] = answer({"Name": "made"}, 201)
    assert run(["volume", "create", *words]) == 0
    assert json.loads(engine.asked("POST /volumes/create").body) == body
    assert capfd.readouterr().out == "made\n"


def test_volumes_are_listed_in_the_order_people_count_in(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [{"Name": name, "Driver": "local", "Labels": {"a": name}} for name in ("v10", "v9", "a", "v1b")]
    engine.answers["GET /volumes"] = answer({"Volumes": rows, "Warnings": None})
    assert run(["volume", "ls"]) == 0
    assert capfd.readouterr().out == (
        "DRIVER    VOLUME NAME\nlocal     a\nlocal     v1b\nlocal     v9\nlocal     v10\n"
    )
    assert run(["volume", "ls", "--format", '{{.Name}} {{.Label "a"}} {{.Links}}']) == 0
    assert capfd.readouterr().out.splitlines()[0] == "a a N/A"
    assert run(["volume", "ls", "-q", "--cluster"]) == 0
    assert capfd.readouterr().out == ""


def test_only_a_cluster_volume_is_updated(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["GET /volumes/data"] = answer({"Name": "data"})
    assert run(["volume", "update", "--availability", "drain", "data"]) == 1
    assert capfd.readouterr().err == "can only update cluster volumes\n"


@pytest.mark.parametrize("words", [["snapshot", "data"], ["restore", "data"], ["restore", "data@"]])
def test_a_snapshot_needs_a_tag(engine: Engine, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["volume", *words]) == 1
    assert "data@TAG" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "key", "query"), QUERIES, ids=lambda value: " ".join(value) if isinstance(value, list) else None
)
def test_a_command_line_asks_for_it(
    engine: Engine, words: list[str], key: str, query: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    value = BODIES.get(key)
    if key not in engine.answers:
        engine.answers[key] = answer(value) if value is not None else answer(None, 204)
    for stream in (
        f"GET /containers/{'c' * 64}/logs",
        "GET /events",
        f"GET {WEB}/stats",
        "GET /containers/cccccccccccc/stats",
    ):
        engine.answers.setdefault(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert run(words) == 0, capfd.readouterr().err
    assert asked(engine, key) == query


def test_update_sends_what_was_given_and_nothing_else(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["POST /containers/web/update"] = answer({"Warnings": ["careful"]})
    words = (
        "update --blkio-weight 10 --cpu-period 1 --cpu-quota 2 --cpu-rt-period 3 --cpu-rt-runtime 4 -c 5 --cpus 1.5 "
        "--cpuset-cpus 0 --cpuset-mems 1 -m 1m --memory-reservation 2m --memory-swap -1 --pids-limit -1 --restart always web"
    )
    assert run(words.split()) == 0
    assert engine.asked("POST /containers/web/update").json() == {
        "BlkioWeight": 10, "CpuPeriod": 1, "CpuQuota": 2, "CpuRealtimePeriod": 3, "CpuRealtimeRuntime": 4, "CpuShares": 5,
        "NanoCpus": 1_500_000_000, "CpusetCpus": "0", "CpusetMems": "1", "Memory": 1 << 20, "MemoryReservation": 2 << 20,
        "MemorySwap": -1, "PidsLimit": -1, "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
    }  # fmt: skip
    assert capfd.readouterr().out == "web\ncareful\n"
    assert run(["update", "web"]) == 1
    assert "you must provide one or more flags" in capfd.readouterr().err


def stream_of(data: bytes, said: list[bytes] | None = None) -> Callable[[Request, socket.socket], None]:
    """An upgraded connection that sends `data` and, with `said`, first takes all of stdin."""

    def serve(request: Request, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        while said is not None and (piece := connection.recv(1000)):
            said.append(piece)
        connection.sendall(data)

    return serve


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def test_exec_sends_every_option_and_passes_the_exit_code_on(
    engine: Engine, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "env").write_text("F=1\n")
    engine.answers["POST /containers/web/exec"] = answer({"Id": "e1"}, 201)
    engine.answers["POST /exec/e1/start"] = stream_of(frame(1, b"out\n") + frame(2, b"err\n"))
    engine.answers["GET /exec/e1/json"] = answer({"ExitCode": 42})
    words = [
        "exec",
        "-e",
        "A=b",
        f"--env-file={tmp_path}/env",
        "--privileged",
        "-u",
        "me",
        "-w",
        "/w",
        "--detach-keys=ctrl-a",
    ]
    assert run([*words, "web", "sh", "-c", "x"]) == 42
    assert engine.asked("POST /containers/web/exec").json() == {
        "User": "me", "Privileged": True, "Tty": False, "AttachStdin": False, "AttachStdout": True, "AttachStderr": True,
        "DetachKeys": "ctrl-a", "Env": ["F=1", "A=b"], "WorkingDir": "/w", "Cmd": ["sh", "-c", "x"],
    }  # fmt: skip
    assert capfd.readouterr() == ("out\n", "err\n")


def test_exec_in_the_background_returns_at_once(engine: Engine) -> None:
    engine.answers["POST /containers/web/exec"] = answer({"Id": "e1"}, 201)
    engine.answers["POST /exec/e1/start"] = answer(None, 200)
    assert run(["exec", "-d", "-t", "web", "true"]) == 0
    assert engine.asked("POST /exec/e1/start").json() == {"Detach": True, "Tty": True}


@pytest.fixture
def runs(engine: Engine) -> Engine:
    """An engine in which a container writes a word and exits with 3."""
    identity = "f" * 64
    engine.answers["POST /containers/create"] = answer({"Id": identity, "Warnings": ["no swap"]}, 201)
    engine.answers[f"POST /containers/{identity}/attach"] = stream_of(frame(1, b"hello\n"))
    engine.answers[f"POST /containers/{identity}/wait"] = answer({"StatusCode": 3})
    engine.answers[f"POST /containers/{identity}/start"] = answer(None, 204)
    return engine


def test_run_attaches_and_waits_before_it_starts(
    runs: Engine, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cidfile = tmp_path / "cid"
    words = ["run", "--rm", "--name=n", "--platform=linux/arm64", f"--cidfile={cidfile}", "--detach-keys=ctrl-a"]
    assert run([*words, "busybox", "true"]) == 3
    assert capfd.readouterr() == ("hello\n", "WARNING: no swap\n")
    verbs = [one.path.rpartition("/")[2] for one in runs.requests]
    assert verbs == ["_ping", "create", "attach", "wait", "start"]
    identity = "f" * 64
    assert asked(runs, "POST /containers/create") == {"name": "n", "platform": "linux/arm64"}
    assert asked(runs, f"POST /containers/{identity}/wait") == {"condition": "removed"}
    assert asked(runs, f"POST /containers/{identity}/attach") == {
        "stream": "1", "stdout": "1", "stderr": "1", "detachKeys": "ctrl-a"
    }  # fmt: skip
    assert cidfile.read_text() == identity
    assert run([*words, "busybox"]) == 125
    assert "container ID file found" in capfd.readouterr().err


def test_run_in_the_background_prints_the_id(runs: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "-d", "--sig-proxy=false", "busybox"]) == 0
    assert capfd.readouterr().out == "f" * 64 + "\n"
    assert [one.path.rpartition("/")[2] for one in runs.requests] == ["_ping", "create", "start"]


def test_run_sends_all_of_stdin_and_its_end(runs: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    said: list[bytes] = []
    runs.answers[f"POST /containers/{'f' * 64}/attach"] = stream_of(frame(1, b"done"), said)
    (tmp_path / "in").write_bytes(b"x" * 300_000)
    before = os.dup(0)
    with (tmp_path / "in").open("rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        assert run(["run", "-i", "busybox", "cat"]) == 3
    finally:
        os.dup2(before, 0)
        os.close(before)
    assert b"".join(said) == b"x" * 300_000
    assert runs.asked("POST /containers/create").json()["StdinOnce"] is True


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ("stat /x: no such file or directory", 127),
        ('exec: "/etc": permission denied', 126),
        ("something else", 125),
    ],
)
def test_a_container_that_cannot_start_gives_a_shells_exit_code(
    runs: Engine, message: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    runs.answers[f"POST /containers/{'f' * 64}/start"] = answer({"message": message}, 400)
    assert run(["run", "busybox", "x"]) == status
    assert capfd.readouterr().err.endswith(
        f"dockwright: Error response from daemon: {message}\n\nRun 'dockwright run --help' for more information\n"
    )


def test_a_missing_image_is_pulled_and_the_pulls_error_shown(runs: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    runs.answers["POST /containers/create"] = answer({"message": "No such image: nope:latest"}, 404)
    runs.answers["POST /images/create"] = answer({"message": "there is no registry"}, 501)
    assert run(["run", "nope"]) == 125
    assert asked(runs, "POST /images/create") == {"fromImage": "nope", "tag": "latest"}
    error = capfd.readouterr().err
    assert error.startswith(
        "Unable to find image 'nope:latest' locally\ndockwright: Error response from daemon: there is no"
    )
    assert run(["run", "--pull", "never", "-q", "nope"]) == 125
    assert "No such image" in capfd.readouterr().err
    assert run(["run", "--pull", "always", "x/y:z"]) == 125
    assert asked(runs, "POST /images/create") == {"fromImage": "x/y", "tag": "z"}
    capfd.readouterr()
    assert run(["create", "--pull", "sometimes", "x"]) == 125
    assert 'must be one of "always", "missing" or "never"' in capfd.readouterr().err


def test_the_configured_proxies_and_platform_are_handed_on(
    runs: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text('{"proxies":{"default":{"httpProxy":"http://p","noProxy":"x"}}}')
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    assert run(["create", "-e", "NO_PROXY=mine", "busybox"]) == 0
    assert runs.asked("POST /containers/create").json()["Env"] == [
        "NO_PROXY=mine", "HTTP_PROXY=http://p", "http_proxy=http://p", "no_proxy=x"
    ]  # fmt: skip
    assert asked(runs, "POST /containers/create") == {"platform": "linux/arm64"}


def test_the_api_socket_is_shared_when_asked(runs: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.json").write_text('{"auths":{"r":{"auth":"YTpi"}}}')
    runs.answers[f"PUT /containers/{'f' * 64}/archive"] = answer()
    assert run(["create", "--use-api-socket", "busybox"]) == 0
    body = runs.asked("POST /containers/create").json()
    assert body["HostConfig"]["Mounts"] == [
        {"Type": "bind", "Source": str(runs.socket), "Target": "/var/run/docker.sock"}
    ]
    assert body["Env"] == ["DOCKER_CONFIG=/run/secrets/docker"]
    with tarfile.open(fileobj=io.BytesIO(runs.asked(f"PUT /containers/{'f' * 64}/archive").body)) as archive:
        file = archive.extractfile("run/secrets/docker/config.json")
        assert file is not None
        assert json.load(file) == {"auths": {"r": {"auth": "YTpi"}}}


def test_attach_leaves_stdin_and_signals_alone_when_told(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    identity = "c" * 64
    engine.answers[f"POST /containers/{identity}/attach"] = stream_of(frame(1, b"hi\n"))
    engine.answers[f"POST /containers/{identity}/wait"] = answer({"StatusCode": 5})
    assert run(["attach", "--no-stdin", "--sig-proxy=false", "--detach-keys", "ctrl-x", "web"]) == 5
    assert asked(engine, f"POST /containers/{identity}/attach") == {
        "stream": "1", "stdout": "1", "stderr": "1", "detachKeys": "ctrl-x"
    }  # fmt: skip
    assert capfd.readouterr().out == "hi\n"


def test_start_attached_gives_the_exit_code(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    identity = "c" * 64
    engine.answers[f"POST /containers/{identity}/attach"] = stream_of(frame(2, b"hi\n"))
    engine.answers[f"POST /containers/{identity}/wait"] = answer({"StatusCode": 7})
    engine.answers[f"POST /containers/{identity}/start"] = answer(None, 204)
    assert run(["start", "-a", "web"]) == 7
    assert capfd.readouterr().err == "hi\n"
    assert run(["start", "-ai", "web", "web"]) == 1


def test_an_older_engine_is_not_sent_what_it_would_ignore(fake_engine: Engine, engine: Engine, capfd: Any) -> None:
    fake_engine.answers["HEAD /_ping"] = answer(None, 200, "Api-Version: 1.41")
    assert run(["stop", "-s", "INT", "web"]) == 1
    assert capfd.readouterr().err == (
        '"--signal" requires API version 1.42, but the Docker daemon API version is 1.41\n'
    )


def test_save_load_import_and_export_move_archives(
    engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.answers["GET /images/get"] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nTAR!"
    engine.answers["GET /containers/web/export"] = engine.answers["GET /images/get"]
    out = tmp_path / "out.tar"
    assert run(["save", "-o", str(out), "--platform=linux/amd64", "busybox", "other"]) == 0
    assert out.read_bytes() == b"TAR!"
    assert parse_qs(engine.asked("GET /images/get").query)["names"] == ["busybox", "other"]
    assert run(["export", "web"]) == 0
    assert capfd.readouterr().out == "TAR!"
    assert run(["export", "-o", "/nodir/x", "web"]) == 1
    assert list(tmp_path.glob("*.tmp")) == []
    engine.answers["POST /images/load"] = answer({"stream": "Loaded image: busybox\n"})
    assert run(["load", "-q", "--platform", "linux/arm64", "-i", str(out)]) == 0
    assert engine.asked("POST /images/load").body == b"TAR!"
    assert asked(engine, "POST /images/load") == {"quiet": "1", "platform": '{"architecture":"arm64","os":"linux"}'}
    engine.answers["POST /images/create"] = answer({"status": "sha256:1"})
    assert run(["import", "-c", "CMD x", "-m", "why", "--platform", "linux/arm64", str(out), "a/b:c"]) == 0
    assert asked(engine, "POST /images/create") == {
        "fromSrc": "-", "repo": "a/b", "tag": "c", "message": "why", "changes": "CMD x", "platform": "linux/arm64"
    }  # fmt: skip
    assert run(["import", "http://x/y.tar"]) == 0
    assert asked(engine, "POST /images/create") == {"fromSrc": "http://x/y.tar"}


def test_an_error_in_the_middle_of_progress_is_an_error(engine: Engine, tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "x").write_bytes(b"")
    engine.answers["POST /images/load"] = answer({"errorDetail": {"message": "no space"}, "error": "no space"})
    assert run(["load", "-i", str(tmp_path / "x")]) == 1
    assert capfd.readouterr().err == "no space\n"


def test_system_prune_removes_each_kind_and_adds_up(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["POST /containers/prune"] = answer({"ContainersDeleted": ["c1"], "SpaceReclaimed": 1000})
    engine.answers["POST /images/prune"] = answer({"ImagesDeleted": [{"Deleted": "i1"}], "SpaceReclaimed": 500})
    engine.answers["POST /volumes/prune"] = answer({"VolumesDeleted": ["v1"], "SpaceReclaimed": 0})
    assert run(["system", "prune", "-f", "-a", "--volumes", "--filter", "label=x"]) == 0
    assert capfd.readouterr().out == (
        "Deleted Containers:\nc1\n\nDeleted Volumes:\nv1\n\nDeleted Images:\ndeleted: i1\n\nTotal reclaimed space: 1.5kB\n"
    )
    assert json.loads(asked(engine, "POST /images/prune")["filters"]) == {
        "label": {"x": True},
        "dangling": {"false": True},
    }


def test_many_are_tried_and_failures_told_at_the_end(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["POST /containers/web/kill"] = answer(None, 204)
    assert run(["kill", "no1", "web", "no2"]) == 1
    assert capfd.readouterr() == ("web\n", "Error response from daemon: not here\n" * 2)
    assert run(["rm", "-f", "no1"]) == 0
    assert run(["rm", "no1"]) == 1


def test_the_table_of_containers_is_dockers(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            [
                "ps",
                "-s",
                "--format",
                r"table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}",
            ]
        )
        == 0
    )
    assert capfd.readouterr().out == (
        "CONTAINER ID   IMAGE     COMMAND                   STATUS       PORTS                           NAMES     SIZE\n"
        'cccccccccccc   busybox   "sh -c \'echo \\"hello …"   Up 2 hours   443/tcp, 0.0.0.0:8080->80/tcp   web       '
        "1.23kB (virtual 2MB)\n"
    )
    assert run(["ps", "-q", "--no-trunc"]) == 0
    assert capfd.readouterr().out == "c" * 64 + "\n"
    assert run(["ps", "--format", "json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["Labels"] == "a=1,b=2"
    assert (found["Mounts"], found["LocalVolumes"], found["CreatedAt"]) == (
        "data-of-the-ap…",
        "1",
        "2023-11-14 22:13:20 +0000 UTC",
    )
    assert run(["ps", "--no-trunc", "--format", '{{.Names}} {{.Label "b"}}']) == 0
    assert capfd.readouterr().out == "web,other/alias 2\n"


def test_the_configured_formats_are_used(engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text('{"psFormat":"{{.Names}}","imagesFormat":"{{.Tag}}"}')
    assert run(["ps"]) == 0
    assert run(["images"]) == 0
    assert capfd.readouterr().out == "web\nlatest\n"


def test_the_table_of_images_shows_digests_on_request(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["images", "--digests", "--no-trunc", "--format", "{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}} {{.Size}}"])
        == 0
    )
    assert capfd.readouterr().out == f"busybox latest sha256:{'d' * 64} sha256:{'a' * 64} 1.98MB\n"
    assert run(["images", "-q"]) == 0
    assert capfd.readouterr().out == "a" * 12 + "\n"


def test_ports_are_listed_one_a_line(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["port", "web"]) == 0
    assert capfd.readouterr().out == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
    assert run(["port", "web", "80/udp"]) == 1
    assert capfd.readouterr().err == "Error: No public port '80/udp' published for web\n"


def test_inspect_looks_for_a_name_among_everything(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["GET /volumes/data"] = answer({"Name": "data"})
    assert run(["inspect", "-f", "{{.Name}}", "data"]) == 0
    assert capfd.readouterr().out == "data\n"
    assert run(["inspect", "nope", "web"]) == 1
    out, error = capfd.readouterr()
    assert json.loads(out)[0]["Name"] == "/web"
    assert error == "Error: No such object: nope\n"
    assert run(["inspect", "--type", "image", "web"]) == 1
    assert run(["inspect", "--type", "cat", "web"]) == 1
    assert 'unknown type: "cat"' in capfd.readouterr().err


def test_confirmation_is_asked_and_no_means_no(
    engine: Engine, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    read, write = os.pipe()
    os.write(write, b"n\n")
    before = os.dup(0)
    os.dup2(read, 0)
    try:
        assert run(["container", "prune"]) == 0
    finally:
        os.dup2(before, 0)
        for descriptor in (before, read, write):
            os.close(descriptor)
    assert capfd.readouterr().out.endswith("Are you sure you want to continue? [y/N] ")
    assert not any(one.path == "/containers/prune" for one in engine.requests)


def test_events_are_lines_or_what_a_template_makes_of_them(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    event = {"Type": "container", "Action": "die", "Actor": {"ID": "abc", "Attributes": {"image": "i", "exitCode": "1"}},
             "time": 1_700_000_000, "timeNano": 1_700_000_000_000_000_001}  # fmt: skip
    engine.answers["GET /events"] = answer(event)
    assert run(["events"]) == 0
    assert capfd.readouterr().out == "2023-11-14T22:13:20.000000001Z container die abc (exitCode=1, image=i)\n"
    assert run(["events", "--format", "{{.ID}} {{.Status}} {{.From}} {{.Actor.Attributes.exitCode}}"]) == 0
    assert capfd.readouterr().out == "abc die i 1\n"
    assert run(["events", "--format", "json"]) == 0
    assert json.loads(capfd.readouterr().out) == event


def test_stats_are_figures_for_people(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["GET /containers/web/stats"] = answer(
        {
            "id": "c" * 64,
            "name": "/web",
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 3 << 20, "limit": 4 << 20, "stats": {"inactive_file": 1 << 20}},
            "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 20}},
            "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 4096}, {"op": "write", "value": 1}]},
            "pids_stats": {"current": 4},
        }
    )
    assert run(["stats", "--no-stream", "web"]) == 0
    assert capfd.readouterr().out == (
        "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O     BLOCK I/O    PIDS\n"
        "cccccccccccc   web       40.00%    2MiB / 4MiB         50.00%    1kB / 20B   4.1kB / 1B   4\n"
    )
    assert run(["stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.Container}}", "web"]) == 0
    assert capfd.readouterr().out == f"{'c' * 64} web\n"
    assert run(["stats", "-a", "web"]) == 1


def test_info_and_version_show_both_sides(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["GET /info"] = answer({"ServerVersion": "9", "Name": "host", "Warnings": ["WARNING: none"]})
    engine.answers["GET /version"] = answer({"Version": "9", "ApiVersion": "1.51", "MinAPIVersion": "1.24"})
    assert run(["-D", "info", "-f", "{{.ServerVersion}} {{.ClientInfo.Debug}}"]) == 0
    out, error = capfd.readouterr()
    assert out == "9 true\n"
    assert "DEBU GET /v1.51/info 200" in error
    assert run(["info"]) == 0
    assert " Server Version: 9\n" in capfd.readouterr().out
    assert run(["version", "--format", "{{.Server.Version}} {{.Client.ApiVersion}}"]) == 0
    assert capfd.readouterr().out == "9 1.51\n"
    assert run(["version"]) == 0
    out = capfd.readouterr().out
    assert "Client: Dockwright\n" in out
    assert "API version:      1.51 (minimum version 1.24)" in out


def test_without_an_engine_version_still_tells_ours(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert run(["-H", f"unix://{tmp_path}/none", "version"]) == 1
    out, error = capfd.readouterr()
    assert out.startswith("Client: Dockwright\n Version:           ")
    assert error == f"Cannot connect to the Docker daemon at unix://{tmp_path}/none. Is the docker daemon running?\n"


def _stat(name: str, mode: int, link: str = "") -> str:
    return base64.b64encode(json.dumps({"name": name, "mode": mode, "linkTarget": link}).encode()).decode()


def test_cp_out_of_a_container_never_leaves_its_directory(
    engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def archive(*entries: tuple[str, bytes, str]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as out:
            for name, kind, link in entries:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname, entry.mode = kind, link, 0o755
                entry.size = 4 if kind == tarfile.REGTYPE else 0
                out.addfile(entry, io.BytesIO(b"evil"))
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(buffer.getvalue())}\r\n"
        return f"{head}X-Docker-Container-Path-Stat: {_stat('d', 1 << 31)}\r\n\r\n".encode() + buffer.getvalue()

    target, secret = tmp_path / "target", tmp_path / "secret"
    secret.write_text("mine")
    target.mkdir()
    top = ("d", tarfile.DIRTYPE, "")
    for entries in (
        [top, ("d/../../secret", tarfile.REGTYPE, "")],
        [top, ("d/l", tarfile.SYMTYPE, str(tmp_path)), ("d/l/secret", tarfile.REGTYPE, "")],
        [top, ("d/h", tarfile.LNKTYPE, "../secret"), ("d/h", tarfile.REGTYPE, "")],
        [top, ("d/h", tarfile.LNKTYPE, str(secret))],
    ):
        engine.answers["GET /containers/web/archive"] = archive(*entries)
        assert run(["cp", "web:/d", str(target)]) == 1, entries
        assert secret.read_text() == "mine"
        capfd.readouterr()
    engine.answers["GET /containers/web/archive"] = archive(
        top, ("d/f", tarfile.REGTYPE, ""), ("d/l", tarfile.SYMTYPE, "/etc")
    )
    assert run(["cp", "-q", "web:/d/.", str(target)]) == 0
    assert (target / "f").read_text() == "evil"
    assert (target / "l").readlink() == Path("/etc")


def test_cp_into_a_container_follows_dockers_rules(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    (tmp_path / "l").symlink_to("d")
    engine.answers["PUT /containers/web/archive"] = answer()

    def names(*words: str) -> tuple[dict[str, str], list[str]]:
        assert run(["cp", *words]) == 0
        with tarfile.open(fileobj=io.BytesIO(engine.asked("PUT /containers/web/archive").body)) as archive:
            return asked(engine, "PUT /containers/web/archive"), archive.getnames()

    engine.answers["HEAD /containers/web/archive"] = answer(
        None, 200, f"X-Docker-Container-Path-Stat: {_stat('t', 1 << 31)}"
    )
    assert names(f"{tmp_path}/d", "web:/t") == ({"path": "/t", "noOverwriteDirNonDir": "1"}, ["d", "d/f"])
    assert names(f"{tmp_path}/d/.", "web:/t")[1] == [".", "./f"]
    assert names("-a", f"{tmp_path}/d/f", "web:/t") == (
        {"path": "/t", "noOverwriteDirNonDir": "1", "copyUIDGID": "1"}, ["f"]
    )  # fmt: skip
    assert names(f"{tmp_path}/l", "web:/t")[1] == ["l"]
    assert names("-L", f"{tmp_path}/l", "web:/t")[1] == ["l", "l/f"]
    engine.answers["HEAD /containers/web/archive"] = answer(None, 404)
    assert names(f"{tmp_path}/d", "web:/new") == ({"path": "/", "noOverwriteDirNonDir": "1"}, ["new", "new/f"])
    assert run(["cp", f"{tmp_path}/d/f", "web:/new/"]) == 1
    assert run(["cp", "web:/a", "web:/b"]) == 1
    assert run(["cp", "a", "b"]) == 1
