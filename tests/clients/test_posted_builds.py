"""Builds by `POST /build?version=2` and a session: as docker's command of 20.10 does."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import tarfile
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from bench import debian

from dockwright.buildkit.proto.control_pb2 import StatusResponse
from tests.archives import files
from tests.clients.dockercommand import LIMIT_S, Client
from tests.host import Daemon
from tests.processes import ended, started

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_images_left")]
NAP = 30_000 + os.getpid()


@pytest.fixture
def old(daemon: Daemon, tmp_path: Path) -> Client:
    """Debian bookworm's docker command, 20.10, which sends no gRPC but its session."""
    try:
        path = str(debian.tree("docker-bookworm", "bookworm", ("docker.io",)) / "usr/bin/docker")
    except debian.Missing as missing:
        pytest.skip(str(missing))
    (tmp_path / "context").mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": daemon.url, "DOCKER_BUILDKIT": "1"}
    return Client(path, environment, tmp_path / "context")


def test_an_older_docker_builds_with_buildkit(old: Client) -> None:
    old.write(
        {
            "Dockerfile": "FROM busybox\nARG WHO\nCOPY . /src\nRUN echo hello $WHO > /said && ls /src\nCMD cat /said\n",
            "a.txt": "a",
            "out.txt": "b",
            ".dockerignore": "out.txt\n",
        }
    )
    arguments = ("-t", "posted:1", "--build-arg", "WHO=you", "--label", "x=y", "--iidfile", "../iid")
    told = old.build("--no-cache", *arguments, ".")
    assert "[2/3] COPY . /src" in told
    assert "a.txt" in told
    assert "out.txt" not in told
    assert old.says("run", "--rm", "--network", "none", "posted:1") == "hello you\n"
    assert old.says("inspect", "-f", "{{.Config.Labels.x}}", "posted:1") == "y\n"
    assert old.says("inspect", "-f", "{{.Id}}", "posted:1").strip() == (old.root / "../iid").read_text()
    assert old.says("build", "-q", ".").startswith("sha256:")
    assert len(re.findall(r"^#\d+ CACHED$", old.build(*arguments, "."), re.MULTILINE)) == 2


def test_an_older_docker_hears_why_a_build_failed(old: Client) -> None:
    old.write({"Dockerfile": "FROM busybox\nRUN echo so far; exit 3\n"})
    done = old.run("build", "--progress", "plain", ".")
    assert done.returncode == 1
    assert "so far" in done.stderr
    assert "did not complete successfully: exit code: 3" in done.stderr


def test_an_older_docker_lends_secrets_and_takes_files(old: Client) -> None:
    old.write(
        {
            "Dockerfile": "FROM busybox AS work\nRUN --mount=type=secret,id=token mkdir /out && wc -c < /run/secrets/token > /out/size\n"
            "FROM scratch\nCOPY --from=work /out /\n",
            "token": "seven-7",
        }
    )
    old.build("--no-cache", "--secret", "id=token,src=token", "--output", "../files", ".")
    assert (old.root / "../files/size").read_text() == "7\n"
    old.build("--secret", "id=token,src=token", "-o", "type=tar,dest=../files.tar", ".")
    with tarfile.open(old.root / "../files.tar") as tar:
        assert "size" in [name.removeprefix("./") for name in tar.getnames()]


def test_an_older_docker_sends_a_context_and_a_dockerfile_from_its_input(old: Client) -> None:
    packed = files({"Dockerfile": "FROM busybox\nCOPY b /b\nRUN cat /b\n", "b": "from a tar\n"})
    done = old.run("build", "--no-cache", "--progress", "plain", "-", stdin=packed)
    assert done.returncode == 0, done.stderr
    assert "from a tar" in done.stderr
    done = old.run("build", "--no-cache", "--progress", "plain", "-", stdin=b"FROM busybox\nRUN echo alone\n")
    assert done.returncode == 0, done.stderr
    assert "alone" in done.stderr
    old.write({"b": "in a directory\n"})
    text = b"FROM busybox\nCOPY b /b\nRUN cat /b\n"
    done = old.run("build", "--no-cache", "--progress", "plain", "-f", "-", ".", stdin=text)
    assert done.returncode == 0, done.stderr
    assert "in a directory" in done.stderr


def test_an_interrupt_of_an_older_docker_ends_the_step(old: Client) -> None:
    old.write({"Dockerfile": f"FROM busybox\nRUN echo begun && sleep {NAP}\n"})
    command = [old.docker, "build", "--progress", "plain", "."]
    begun = subprocess.Popen(command, cwd=old.root, env=old.environment, stderr=subprocess.PIPE, text=True)
    assert begun.stderr is not None
    try:
        assert any("begun" in line and "echo" not in line for line in begun.stderr)
        started(f"sleep {NAP}")
        begun.send_signal(signal.SIGINT)
        begun.stderr.read()
        assert begun.wait(LIMIT_S) != 0
    finally:
        begun.kill()
        begun.wait()
        begun.stderr.close()
    ended(f"sleep {NAP}")


@pytest.fixture
def post(daemon: Daemon) -> Callable[..., list[dict[str, object]]]:
    """`POST /build?version=2` without a session; the messages of its answer."""

    def asked(body: bytes = b"", **query: str) -> list[dict[str, object]]:
        address = daemon.client().api.base_url + "/build?" + urllib.parse.urlencode({"version": "2", **query})
        client = daemon.client()
        try:
            answer = client.api.post(address, data=body, timeout=LIMIT_S)
            return [json.loads(line) for line in answer.content.splitlines() if line]
        finally:
            client.close()

    return asked


def _packed(text: str) -> bytes:
    return files({"Dockerfile": text})


def test_the_answer_is_a_trace_and_the_images_id(post: Callable[..., list[dict[str, object]]], daemon: Daemon) -> None:
    text = "FROM busybox\nARG A\nRUN echo said $A\n"
    *traces, last = post(_packed(text), t="posted:2", nocache="1", buildargs='{"A":"b","NONE":null}', shmsize="4194304")
    assert {one["id"] for one in traces} == {"moby.buildkit.trace"}
    statuses = [StatusResponse.FromString(base64.b64decode(str(one["aux"]))) for one in traces]
    assert b"said b\n" in b"".join(log.msg for status in statuses for log in status.logs)
    client = daemon.client()
    assert last == {"id": "moby.image.id", "aux": {"ID": client.images.get("posted:2").id}}
    client.close()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"squash": "1"}, "squash"),
        ({"networkmode": "container:x"}, "not supported by buildkit"),
        ({"outputs": '[{"Type":"tar"},{"Type":"moby"}]'}, "multiple outputs"),
        ({"outputs": "nonsense"}, "invalid outputs"),
        ({"remote": "client-session", "session": "nobody"}, "no active session for nobody"),
        ({"target": "missing"}, "missing"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(
    query: dict[str, str], expected: str, post: Callable[..., list[dict[str, object]]]
) -> None:
    last = post(_packed("FROM busybox\n"), **query)[-1]
    assert expected in str(last.get("error") or last.get("message"))


def test_a_build_is_cancelled_by_its_name(daemon: Daemon, post: Callable[..., list[dict[str, object]]]) -> None:
    answers: list[dict[str, object]] = []
    name = f"build-{NAP}"
    body = _packed(f"FROM busybox\nRUN sleep {NAP}1\n")
    thread = threading.Thread(target=lambda: answers.extend(post(body, buildid=name, nocache="1")))
    thread.start()
    started(f"sleep {NAP}1")
    client = daemon.client()
    assert client.api.post(client.api.base_url + "/build/cancel", params={"id": name}).status_code == 200
    assert client.api.post(client.api.base_url + "/build/cancel", params={"id": "nothing"}).status_code == 200
    assert client.api.post(client.api.base_url + "/build/cancel").status_code == 400
    client.close()
    thread.join(LIMIT_S)
    ended(f"sleep {NAP}1")
    assert answers[-1]["error"] == "context canceled"
