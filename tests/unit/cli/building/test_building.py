"""`build` over BuildKit's protocol, against a small engine: what is sent, lent and received, and what is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.archives import files
from tests.unit.cli.building.engine import GATEWAY, Build, Engine

from dockwright.buildkit import errors as wire_errors
from dockwright.buildkit.filesync import Filter, Wanted, send
from dockwright.buildkit.proto.content_grpc import ContentStub
from dockwright.buildkit.proto.content_pb2 import COMMIT, STAT, WRITE, ReadContentRequest, WriteContentRequest
from dockwright.buildkit.proto.control_pb2 import StatusResponse, VertexWarning
from dockwright.buildkit.proto.filesync_grpc import AuthStub, FileSendStub
from dockwright.buildkit.proto.filesync_pb2 import BytesMessage, CredentialsRequest
from dockwright.buildkit.proto.fsutil_pb2 import Packet
from dockwright.buildkit.proto.health_grpc import HealthStub
from dockwright.buildkit.proto.health_pb2 import HealthCheckRequest
from dockwright.buildkit.proto.secrets_grpc import SecretsStub
from dockwright.buildkit.proto.secrets_pb2 import GetSecretRequest
from dockwright.buildkit.proto.sshforward_grpc import SSHStub
from dockwright.buildkit.proto.sshforward_pb2 import BytesMessage as AgentBytes
from dockwright.buildkit.proto.sshforward_pb2 import CheckAgentRequest
from dockwright.buildkit.proto.upload_grpc import UploadStub
from dockwright.buildkit.proto.upload_pb2 import BytesMessage as UploadBytes
from dockwright.cli import main
from dockwright.cli.building.layouts import Layout
from dockwright.errors import HostFailure

STORE = "buildkit-attachable-store-id"
DIGEST = "sha256:" + "a" * 64
Start = Callable[..., Engine]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start an engine whose builds do what the function says."""
    opened: list[Engine] = []
    with tempfile.TemporaryDirectory(prefix="dwb-", dir="/tmp") as directory:

        def begin(script: Any = _nothing, answers: Mapping[str, Mapping[str, bytes]] | None = None) -> Engine:
            opened.append(Engine(Path(directory), script, answers))
            return opened[-1]

        yield begin
        for engine in opened:
            engine.close()


async def _nothing(build: Build) -> dict[str, str]:
    return {}


def command(engine: Engine, words: tuple[str, ...], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("BUILDKIT_", "DOCKER_"))}
    variables |= {
        "DOCKER_HOST": f"unix://{engine.socket}",
        "DOCKER_CONFIG": "/nonexistent",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return [sys.executable, "-m", "dockwright.cli", "build", *words], variables | dict(environment)


@dataclass
class Ran:
    """What one command line printed."""

    stdout: bytes
    stderr: bytes


Run = Callable[..., Ran]


@pytest.fixture
def build(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one `build` in this process."""

    def run(engine: Engine, *words: str, status: int = 0, input: bytes = b"", **environment: str) -> Ran:
        capfdbinary.readouterr()
        with monkeypatch.context() as patch, tempfile.TemporaryFile() as file:
            argv, variables = command(engine, words, environment)
            for name in set(os.environ) - set(variables):
                patch.delenv(name)
            for name, value in variables.items():
                patch.setenv(name, value)
            file.write(input)
            file.seek(0)
            before = os.dup(0)
            os.dup2(file.fileno(), 0)
            try:
                found = main.run(argv[3:])
            finally:
                os.dup2(before, 0)
                os.close(before)
        printed = Ran(*capfdbinary.readouterr())
        assert found == status, printed.stderr.decode()
        return printed

    return run


@pytest.fixture
def context(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    (made / "Dockerfile").write_text("FROM scratch\nCOPY a /\n")
    (made / "a").write_text("content")
    (made / "left-out").write_text("x")
    return made


# What is sent.


def test_the_engine_reads_the_directories_as_far_as_it_asks(
    build: Run, start: Start, context: Path, tmp_path: Path
) -> None:
    async def script(going: Build) -> dict[str, str]:
        await going.fetch(Wanted("dockerfile", ("Dockerfile",)), tmp_path / "file")
        await going.fetch(Wanted("context", (), ("left-out",)), tmp_path / "got")
        return {"containerimage.config.digest": DIGEST}

    engine = start(script)
    found = build(engine, "-q", "-t", "app", str(context))
    assert found.stdout.decode() == DIGEST + "\n"
    assert os.listdir(tmp_path / "file" / "fs") == ["Dockerfile"]
    assert sorted(os.listdir(tmp_path / "got" / "fs")) == ["Dockerfile", "a"]
    (made,) = engine.builds
    assert made.request.Frontend == "dockerfile.v0"
    assert made.attributes["filename"] == "Dockerfile"
    (exporter,) = made.request.Exporters
    assert (exporter.Type, dict(exporter.Attrs)) == ("moby", {"name": "docker.io/library/app:latest"})
    assert made.headers["x-docker-expose-session-sharedkey"][0].startswith("context:")
    assert "/moby.filesync.v1.FileSync/DiffCopy" in made.headers["x-docker-expose-session-grpc-method"]


def test_another_directory_is_not_given(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        await going.fetch(Wanted("elsewhere"), tmp_path / "got")
        return {}

    found = build(start(script), str(context), status=1)
    assert b'no access allowed to dir "elsewhere"' in found.stderr


def test_a_directory_that_went_away_is_told(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        shutil.rmtree(context)
        await going.fetch(Wanted("context"), tmp_path / "got")
        return {}

    said = build(start(script), str(context), status=1).stderr
    assert b"ERROR: failed to build" in said
    assert b"Traceback" not in said


def test_a_result_that_cannot_be_written_is_told(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def script(going: Build) -> dict[str, str]:
        await _give(going, 0, b"tar")
        return {}

    said = build(start(script), "-o", f"type=tar,dest={tmp_path}/file/x.tar", str(context), status=1).stderr
    assert b"file exists" in said or b"not a directory" in said
    assert b"Traceback" not in said


def test_options_become_attributes(build: Run, start: Start, context: Path) -> None:
    engine = start()
    words = [
        *("--build-arg", "A=b", "--build-arg", "SET", "--build-arg", "UNSET", "--label", "l=m", "--target", "t"),
        *("--no-cache-filter", "x,y", "--platform", "linux/arm64", "--platform", "linux/amd64", "--pull"),
        *("--network", "host", "--add-host", "h:1.2.3.4", "--add-host", "g=host-gateway", "--ulimit", "nofile=1:2"),
        *("--shm-size", "1m", "--cgroup-parent", "/p", "--memory", "2m", "--cpu-quota", "5", "--cpuset-cpus", "0"),
        *("--allow", "security.insecure", "--cache-from", "img:1", "--cache-from", "type=local,src=/nonexistent"),
        *("--cache-to", "type=inline", "--provenance", "mode=max", "--sbom", "true", "--explain", "--keep-times"),
    ]
    shown = build(engine, *words, str(context), SET="set", SOURCE_DATE_EPOCH="7")
    assert b"WARNING: local cache import at /nonexistent skipped" in shown.stderr
    request = engine.builds[0].request
    found = engine.builds[0].attributes
    found.pop("filename")
    assert json.loads(found.pop("cache-imports")) == [{"Type": "registry", "Attrs": {"ref": "img:1"}}]
    assert found == {
        "build-arg:A": "b",
        "build-arg:SET": "set",
        "build-arg:SOURCE_DATE_EPOCH": "7",
        "label:l": "m",
        "target": "t",
        "no-cache": "x,y",
        "platform": "linux/arm64,linux/amd64",
        "image-resolve-mode": "pull",
        "force-network-mode": "host",
        "add-hosts": f"h=1.2.3.4,g={GATEWAY}",
        "ulimit": "nofile=1:2",
        "shm-size": str(1 << 20),
        "cgroup-parent": "/p",
        "memory": str(2 << 20),
        "cpuquota": "5",
        "cpusetcpus": "0",
        "attest:provenance": "mode=max",
        "attest:sbom": "",
        "dockwright:explain": "1",
        "dockwright:keep-times": "1",
    }
    assert list(request.Entitlements) == ["security.insecure", "network.host"]
    assert [(one.Type, dict(one.Attrs)) for one in request.Cache.Imports] == [
        ("registry", {"ref": "img:1"}),
    ]
    assert [one.Type for one in request.Cache.Exports] == ["inline"]


def test_proxies_of_the_configuration_are_arguments(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"proxies": {"default": {"httpProxy": "http://p", "noProxy": "n"}}}')
    engine = start()
    build(engine, "--build-arg", "no_proxy=mine", str(context), DOCKER_CONFIG=str(tmp_path))
    found = engine.builds[0].attributes
    assert (found["build-arg:HTTP_PROXY"], found["build-arg:no_proxy"]) == ("http://p", "mine")
    assert "build-arg:NO_PROXY" not in found


def test_a_dockerfile_from_standard_input_goes_beside_the_context(
    build: Run, start: Start, context: Path, tmp_path: Path
) -> None:
    async def script(going: Build) -> dict[str, str]:
        await going.fetch(Wanted("dockerfile"), tmp_path / "got")
        return {}

    engine = start(script)
    build(engine, "-f", "-", str(context), input=b"FROM scratch\n")
    assert (tmp_path / "got" / "fs" / "Dockerfile").read_bytes() == b"FROM scratch\n"
    assert engine.builds[0].attributes["dockerfilekey"] == "dockerfile"


def test_a_tar_on_standard_input_is_uploaded_when_it_is_asked_for(build: Run, start: Start) -> None:
    packed = files({"Dockerfile": "#" * 300_000})
    got = b""

    async def script(going: Build) -> dict[str, str]:
        nonlocal got
        path = going.attributes["context"].removeprefix("http://buildkit-session")
        async with UploadStub(going.session).Pull.open(metadata={"urlpath": path}) as stream:
            await stream.send_message(UploadBytes(), end=True)
            got = b"".join([message.data async for message in stream])
        return {}

    build(start(script), "-", input=packed)
    assert got == packed


def test_a_lone_dockerfile_on_standard_input_has_an_empty_context(build: Run, start: Start, tmp_path: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        await going.fetch(Wanted("context"), tmp_path / "context")
        await going.fetch(Wanted("dockerfile"), tmp_path / "file")
        return {}

    build(start(script), "-", input=b"FROM scratch\n")
    assert os.listdir(tmp_path / "context" / "fs") == []
    assert os.listdir(tmp_path / "file" / "fs") == ["Dockerfile"]


def test_named_contexts_are_directories_or_for_the_engine_to_fetch(
    build: Run, start: Start, context: Path, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b").touch()

    async def script(going: Build) -> dict[str, str]:
        await going.fetch(Wanted("extra"), tmp_path / "got")
        return {}

    engine = start(script)
    words = ["--build-context", f"extra={tmp_path}/more", "--build-context", "base=docker-image://debian:12"]
    build(engine, *words, str(context))
    found = engine.builds[0].attributes
    assert (found["context:extra"], found["context:base"]) == ("local:extra", "docker-image://debian:12")
    assert found["sharedkey:localdir:extra"].startswith("more:")
    assert os.listdir(tmp_path / "got" / "fs") == ["b"]


def test_remote_contexts_are_the_engines_to_fetch(build: Run, start: Start) -> None:
    engine = start()
    build(engine, "-f", "sub/File", "https://example.org/repo.git#main:dir")
    found = engine.builds[0].attributes
    assert (found["context"], found["filename"]) == ("https://example.org/repo.git#main:dir", "sub/File")


# What is lent.


def test_secrets_are_files_and_variables(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of a file")
    got = {}

    async def script(going: Build) -> dict[str, str]:
        stub = SecretsStub(going.session)
        for name in ("one", "two", "THREE"):
            got[name] = (await stub.GetSecret(GetSecretRequest(ID=name))).data
        await stub.GetSecret(GetSecretRequest(ID="four"))
        return {}

    words = ["--secret", f"id=one,src={tmp_path}/key", "--secret", "id=two,env=TWO", "--secret", "id=THREE"]
    found = build(start(script), *words, str(context), status=1, TWO="2", THREE="3")
    assert got == {"one": b"of a file", "two": b"2", "THREE": b"3"}
    assert b"secret four: not found" in found.stderr
    assert b"of a file" not in found.stderr


def test_credentials_are_those_of_the_configuration(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths": {"r.example": {"auth": "dTpw"}}}')
    got = []

    async def script(going: Build) -> dict[str, str]:
        await HealthStub(going.session).Check(HealthCheckRequest())
        for host in ("r.example", "other.example"):
            answer = await AuthStub(going.session).Credentials(CredentialsRequest(Host=host))
            got.append((answer.Username, answer.Secret))
        return {}

    build(start(script), str(context), DOCKER_CONFIG=str(tmp_path))
    assert got == [("u", "p"), ("", "")]


class Agent:
    """A program that listens as an ssh agent does, and answers whatever it is sent with its length."""

    def __init__(self, path: Path) -> None:
        self.seen: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            while data := connection.recv(65536):
                self.seen.append(data)
                connection.sendall(b"\0\0\0\2\x0c" + bytes([len(data)]))

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


def test_an_agent_lists_and_signs_and_is_never_changed(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="dwa-", dir="/tmp") as directory:
        agent = Agent(Path(directory) / "agent")
        listed, added = b"\0\0\0\1\x0b", b"\0\0\0\3\x11ab"
        answers = []

        async def script(going: Build) -> dict[str, str]:
            await SSHStub(going.session).CheckAgent(CheckAgentRequest(ID="default"))
            async with SSHStub(going.session).ForwardAgent.open(metadata={"buildkit.ssh.id": "default"}) as stream:
                for request in (listed, added):
                    await stream.send_message(AgentBytes(data=request[:3]))
                    await stream.send_message(AgentBytes(data=request[3:]))
                    message = await stream.recv_message()
                    assert message is not None
                    answers.append(message.data)
                await stream.end()
            return {}

        build(start(script), "--ssh", "default", str(context), SSH_AUTH_SOCK=f"{directory}/agent")
        agent.close()
    assert answers == [b"\0\0\0\2\x0c\x05", b"\0\0\0\1\x05"]
    assert agent.seen == [listed]


# What is received.


async def _give(build: Build, number: int, data: bytes) -> None:
    metadata = {"buildkit-attachable-exporter-id": str(number)}
    async with FileSendStub(build.session).DiffCopy.open(metadata=metadata) as stream:
        for begin in range(0, len(data), 1000):
            await stream.send_message(BytesMessage(data=data[begin : begin + 1000]))
        await stream.end()
        assert await stream.recv_message() is None


class _AsPackets:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def send_message(self, message: Packet, /) -> None:
        await self._stream.send_message(BytesMessage.FromString(message.SerializeToString()))

    async def recv_message(self) -> Packet | None:
        raw = await self._stream.recv_message()
        return None if raw is None else Packet.FromString(raw.SerializeToString())


async def _give_tree(build: Build, number: int, root: Path) -> None:
    metadata = {"buildkit-attachable-exporter-id": str(number)}
    async with FileSendStub(build.session).DiffCopy.open(metadata=metadata) as stream:
        await stream.send_request()
        await send(_AsPackets(stream), root, Filter())
        await stream.end()
        await stream.recv_message()


def test_results_go_where_each_output_says(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "new").write_text("new")
    (made / "link").symlink_to("sub/new")
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "sub" / "old").write_text("old")

    async def script(going: Build) -> dict[str, str]:
        await _give(going, 0, b"t" * 5000)
        await _give_tree(going, 1, made)
        return {}

    engine = start(script)
    words = ["-o", f"type=tar,dest={tmp_path}/deep/x.tar", "-o", str(out)]
    build(engine, *words, str(context))
    assert (tmp_path / "deep" / "x.tar").read_bytes() == b"t" * 5000
    assert sorted(os.listdir(out / "sub")) == ["new", "old"]
    assert os.readlink(out / "link") == "sub/new"
    assert [one.Type for one in engine.builds[0].request.Exporters] == ["tar", "local"]
    assert sorted(os.listdir(tmp_path)) == ["context", "deep", "made", "out"]


def test_a_directory_that_is_to_be_replaced_is(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "new").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()

    async def script(going: Build) -> dict[str, str]:
        await _give_tree(going, 0, tmp_path / "made")
        return {}

    engine = start(script)
    words = ["-o", f"type=local,dest={tmp_path}/out,mode=delete", str(context)]
    found = build(engine, *words, status=1)
    assert b"requires --allow=buildx.local.delete" in found.stderr
    build(engine, "--allow", "buildx.local.delete", *words)
    assert os.listdir(tmp_path / "out") == ["new"]


def test_a_tar_can_go_to_standard_output(build: Run, start: Start, context: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        await _give(going, 0, b"tar" * 1000)
        return {}

    assert build(start(script), "-o", "-", str(context)).stdout == b"tar" * 1000


def test_an_image_layout_is_unpacked_and_joins_what_is_there(
    build: Run, start: Start, context: Path, tmp_path: Path
) -> None:
    def layout(name: str) -> bytes:
        index = {"manifests": [{"digest": name, "annotations": {"org.opencontainers.image.ref.name": name}}]}
        return files({"oci-layout": "{}", "index.json": json.dumps(index), f"b-{name}": ""})

    async def script(going: Build) -> dict[str, str]:
        assert going.request.Exporters[0].Attrs["tar"] == "true"
        await _give(going, 0, layout(going.attributes["target"]))
        return {}

    engine = start(script)
    for name in ("one", "two", "one"):
        build(engine, "--target", name, "-o", f"type=oci,tar=false,dest={tmp_path}/layout", str(context))
    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    assert [one["digest"] for one in index["manifests"]] == ["two", "one"]
    assert sorted(os.listdir(tmp_path / "layout")) == ["b-one", "b-two", "index.json", "oci-layout"]


def test_a_transfer_that_breaks_off_leaves_nothing(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        async with FileSendStub(going.session).DiffCopy.open() as stream:
            await stream.send_message(BytesMessage(data=b"half"))
            await stream.cancel()
        raise wire_errors.of(HostFailure("the disk is full"))

    found = build(start(script), "-o", f"type=tar,dest={tmp_path}/x.tar", str(context), status=1)
    assert b"the disk is full" in found.stderr
    assert os.listdir(tmp_path) == ["context"]


# What is told.


def _step(name: str, *, error: str = "", log: bytes = b"") -> StatusResponse:
    message = StatusResponse()
    one = message.vertexes.add(digest=name, name=name, error=error)
    one.started.FromSeconds(1_700_000_000)
    if log:
        line = message.logs.add(vertex=name, stream=1, msg=log)
        line.timestamp.CopyFrom(one.started)
    else:
        one.completed.GetCurrentTime()
    return message


def test_progress_is_told_on_standard_error(build: Run, start: Start, context: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        going.status.put_nowait(_step("[1/1] RUN hello", log=b"said\n"))
        going.status.put_nowait(_step("[1/1] RUN hello"))
        return {}

    found = build(start(script), str(context))
    assert found.stdout == b""
    lines = found.stderr.decode().splitlines()
    assert lines[0] == "#1 [1/1] RUN hello"
    assert lines[1].endswith(" said")
    assert lines[2].startswith("#1 DONE ")


def test_a_failed_step_is_told_with_its_output_and_its_lines(build: Run, start: Start, context: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        going.status.put_nowait(_step("[1/1] RUN bad", log=b"because\n"))
        going.status.put_nowait(_step("[1/1] RUN bad", error="exit code: 3"))
        source = wire_errors.source("Dockerfile", b"FROM a\nRUN bad\n", 2, 2)
        raise wire_errors.of(HostFailure("process did not complete: exit code: 3"), [source])

    found = build(start(script), str(context), status=1).stderr.decode()
    assert "#1 ERROR: exit code: 3\n" in found
    assert "------\n > [1/1] RUN bad:\n" in found
    assert f"{context}/Dockerfile:2\n--------------------\n   1 |     FROM a\n   2 | >>> RUN bad\n" in found
    assert found.endswith("ERROR: failed to build: failed to solve: process did not complete: exit code: 3\n")


@pytest.mark.parametrize("debug", [False, True])
def test_warnings_come_last_and_whole_where_that_is_asked_for(
    debug: bool, build: Run, start: Start, context: Path
) -> None:
    async def script(going: Build) -> dict[str, str]:
        message = _step("load")
        message.warnings.append(VertexWarning(vertex="load", short=b"Rule: text (line 1)", detail=[b"all about it"]))
        going.status.put_nowait(message)
        return {}

    found = build(start(script), *(["--debug"] if debug else []), str(context)).stderr.decode()
    if debug:
        assert "\n 1 warning found:\n - Rule: text (line 1)\nall about it\n" in found
    else:
        assert found.endswith("\n 1 warning found (use --debug to expand):\n - Rule: text (line 1)\n")


def test_files_for_programs_are_written(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    (tmp_path / "id").write_text("old")

    async def script(going: Build) -> dict[str, str]:
        assert not (tmp_path / "id").exists()
        return {"containerimage.digest": DIGEST, "containerimage.descriptor": "eyJhIjogMX0=", "image.name": "app"}

    build(start(script), "--iidfile", f"{tmp_path}/id", "--metadata-file", f"{tmp_path}/meta", str(context))
    assert (tmp_path / "id").read_text() == DIGEST
    assert json.loads((tmp_path / "meta").read_text()) == {
        "containerimage.digest": DIGEST,
        "containerimage.descriptor": {"a": 1},
        "image.name": "app",
    }


def test_what_differs_from_the_last_build_is_explained(build: Run, start: Start, context: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        return {"dockwright.explain": json.dumps([{"step": "[2/2] COPY a /", "reason": "a: its content"}])}

    assert build(start(script), "--explain", str(context)).stdout == b"[2/2] COPY a /\n    a: its content\n"


@pytest.mark.parametrize(
    ("words", "shown", "status"),
    [
        (("--call", "outline"), b"the text", 0),
        (("--call", "targets,format=json"), b'{"a": 1}\n', 0),
        (("--check",), b"Check complete, no warnings found.\n", 0),
    ],
)
def test_questions_are_asked_instead_of_building(
    build: Run, start: Start, context: Path, words: tuple[str, ...], shown: bytes, status: int
) -> None:
    answers = {
        "frontend.outline": {"result.txt": b"the text", "result.json": b"{}"},
        "frontend.targets": {"result.txt": b"x", "result.json": b'{"a": 1}'},
        "frontend.lint": {"result.json": b'{"warnings": []}', "result.statuscode": b"0"},
    }
    engine = start(_nothing, answers)
    assert build(engine, *words, str(context), status=status).stdout == shown
    assert list(engine.builds[0].request.Exporters) == []


def test_what_the_checks_find_is_shown_with_its_lines(build: Run, start: Start, context: Path) -> None:
    place = {"ranges": [{"start": {"line": 1}, "end": {"line": 1}}]}
    found = {
        "warnings": [{"ruleName": "R", "url": "http://r", "detail": "is wrong", "location": place}],
        "sources": [{"filename": "Dockerfile", "data": "RlJPTSBh"}],
    }
    engine = start(_nothing, {"frontend.lint": {"result.json": json.dumps(found).encode(), "result.statuscode": b"1"}})
    shown = build(engine, "--check", str(context), status=1).stdout.decode()
    assert shown.startswith("Check complete, 1 warning has been found!\n\nWARNING: R - http://r\nis wrong\n")
    assert "   1 | >>> FROM a\n" in shown
    build(engine, "--call", "check,ignorestatus=true", str(context))


def test_ctrl_c_gives_the_build_up(start: Start, context: Path) -> None:
    begun = threading.Event()

    async def script(going: Build) -> dict[str, str]:
        going.status.put_nowait(_step("[1/1] RUN long", log=b"going on\n"))
        begun.set()
        await asyncio.Event().wait()
        return {}

    engine = start(script)
    argv, variables = command(engine, (str(context),), {})
    with subprocess.Popen(argv, stderr=subprocess.PIPE, env=variables) as running:
        assert running.stderr is not None
        assert begun.wait(30)
        while b"going on" not in running.stderr.readline():
            pass
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    assert engine.given_up.wait(10)


def test_an_engine_that_goes_away_is_told(build: Run, start: Start, context: Path) -> None:
    async def script(going: Build) -> dict[str, str]:
        going.session.close()
        await asyncio.sleep(0)
        raise wire_errors.of(HostFailure("no session"))

    assert b"ERROR: failed to build" in build(start(script), str(context), status=1).stderr


# What is refused.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--builder", "other", "."), "no builder 'other' found"),
        (("--progress", "fancy", "."), "invalid progress mode fancy"),
        (("--output", "type=invented", "."), "unknown output type invented"),
        (("--output", "type=local", "."), "dest is required for local exporter"),
        (("--output", "dest=x", "."), "type is required for output"),
        (("--push", "."), "tag is needed when pushing to registry"),
        (("--secret", "id=x,src=/nonexistent", "."), "failed to stat /nonexistent"),
        (("--secret", "src=x", "."), "secret missing ID"),
        (("--secret", "id=x,nope=y", "."), "unexpected key 'nope'"),
        (("--ssh", "a=/nonexistent", "."), "ssh agent a: /nonexistent"),
        (("--cache-to", "type=s3", "."), "caches of type s3 are not supported"),
        (("--allow", "everything", "."), "unknown entitlement everything"),
        (("--annotation", "x", "."), 'invalid annotation "x"'),
        (("--annotation", "nope:x=y", "."), 'unknown annotation type "nope"'),
        (("--network", "mine", "."), 'network mode "mine" not supported'),
        (("--platform", "a/b/c/d/e", "."), "platform"),
        (("--call", "a,b", "."), "invalid print value"),
        (("--build-context", "x", "."), "invalid context value: x"),
        (("--build-context", "x=/nonexistent", "."), "failed to get build context x"),
        (("-q", "--progress", "plain", "."), "progress=plain and quiet cannot be used together"),
        (("-f", "-", "-"), "can't use stdin for both"),
        (("/nonexistent",), 'path "/nonexistent" not found'),
        (("--on-fail", "cry", "."), "invalid --on-fail cry"),
        (("--on-fail", "shell", "."), "needs a terminal"),
        (("--iidfile", "/x", "-o", "out", "."), "incompatible with image ID file"),
    ],
)
def test_what_cannot_be_is_refused(
    build: Run,
    start: Start,
    context: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(context)
    engine = start()
    found = build(engine, *words, status=1)
    assert message in found.stderr.decode()
    assert engine.builds == []


def test_what_only_buildkit_has_is_refused_without_it(build: Run, start: Start) -> None:
    found = build(start(), "--secret", "id=x", ".", status=1, DOCKER_BUILDKIT="0")
    assert b"--secret needs BuildKit's protocol: DOCKER_BUILDKIT=0 turns it off" in found.stderr


# Image layouts.


def layout_of(path: Path, content: bytes, tag: str = "latest") -> str:
    """An image layout with one manifest; its digest."""
    digest = hashlib.sha256(content).hexdigest()
    (path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    (path / "blobs" / "sha256" / digest).write_bytes(content)
    Layout(path).name({"digest": f"sha256:{digest}", "size": len(content)}, tag)
    return f"sha256:{digest}"


async def _read(going: Build, store: str, digest: str, **part: int) -> bytes:
    async with ContentStub(going.session).Read.open(metadata={STORE: store}) as stream:
        await stream.send_message(ReadContentRequest(digest=digest, **part), end=True)
        return b"".join([message.data async for message in stream])


async def _write(going: Build, store: str, content: bytes, digest: str) -> None:
    async with ContentStub(going.session).Write.open(metadata={STORE: store}) as stream:
        for action, offset, data in ((STAT, 0, b""), (WRITE, 0, content[:2]), (WRITE, 2, content[2:])):
            request = WriteContentRequest(action=action, ref="r", offset=offset, data=data, expected=digest)
            await stream.send_message(request)
            await stream.recv_message()
        await stream.send_message(WriteContentRequest(action=COMMIT, total=len(content), expected=digest), end=True)
        answer = await stream.recv_message()
        assert answer is None or answer.digest == digest


def test_images_of_a_layout_can_be_read(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    digest = layout_of(tmp_path / "layout", b"manifest", "one")
    layout_of(tmp_path / "layout", b"another", "two")
    got = []

    async def script(going: Build) -> dict[str, str]:
        reference = going.attributes["context:base"]
        store, _, wanted = reference.removeprefix("oci-layout://").partition("@")
        got.append(wanted)
        got.append(await _read(going, f"oci:{store}", wanted))
        got.append(await _read(going, f"oci:{store}", wanted, offset=2, size=3))
        await _write(going, f"oci:{store}", b"content", digest)
        return {}

    engine = start(script)
    found = build(engine, "--build-context", f"base=oci-layout://{tmp_path}/layout:one", str(context), status=1)
    assert got == [digest, b"manifest", b"nif"]
    assert b"is only read" in found.stderr
    found = build(engine, "--build-context", f"base=oci-layout://{tmp_path}/layout:three", str(context), status=1)
    assert b"holds nothing named three" in found.stderr


def test_a_local_cache_is_read_and_written(build: Run, start: Start, context: Path, tmp_path: Path) -> None:
    old = layout_of(tmp_path / "from", b"old")
    new = "sha256:" + hashlib.sha256(b"new one").hexdigest()

    async def script(going: Build) -> dict[str, str]:
        (given,) = going.request.Cache.Imports
        assert await _read(going, f"local:{given.Attrs['src']}", given.Attrs["digest"]) == b"old"
        await _write(going, f"local:{going.request.Cache.Exports[0].Attrs['dest']}", b"new one", new)
        return {"cache.manifest": json.dumps({"digest": new, "size": 7, "mediaType": "m"})}

    words = ["--cache-from", f"type=local,src={tmp_path}/from", "--cache-to", f"type=local,dest={tmp_path}/to,tag=t"]
    build(start(script), *words, str(context))
    assert Layout(tmp_path / "from").digest() == old
    assert Layout(tmp_path / "to").digest("t") == new
    assert sorted(os.listdir(tmp_path / "to")) == ["blobs", "index.json", "oci-layout"]


def test_content_that_is_not_what_was_announced_leaves_nothing(
    build: Run, start: Start, context: Path, tmp_path: Path
) -> None:
    async def script(going: Build) -> dict[str, str]:
        await _write(going, f"local:{tmp_path}/to", b"something else", DIGEST)
        return {}

    found = build(start(script), "--cache-to", f"type=local,dest={tmp_path}/to", str(context), status=1)
    assert b"were announced" in found.stderr
    assert os.listdir(tmp_path / "to") == []
