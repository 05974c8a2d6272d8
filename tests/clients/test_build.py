"""Builds through the classic API: the real docker CLI and the Docker SDK for Python."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker as sdk
import pytest
from docker.errors import APIError, BuildError

from tests.host import Daemon

pytestmark = pytest.mark.root


@pytest.fixture
def client(daemon: Daemon) -> Iterator[sdk.DockerClient]:
    """The SDK over the shared daemon."""
    found = daemon.client()
    yield found
    found.close()


def context(tmp_path: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return str(tmp_path)


def test_the_docker_cli_builds_and_runs(
    daemon: Daemon, docker: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    where = context(
        tmp_path,
        {
            "Dockerfile": "FROM busybox\nARG WHO=nobody\nCOPY . /src\nRUN echo hello $WHO > /said && ls /src\nCMD cat /said\n",
            "a.txt": "a",
            "b/c.txt": "c",
            ".dockerignore": "b\n",
        },
    )
    environment = {**os.environ, "DOCKER_HOST": f"unix://{daemon.socket}", "DOCKER_BUILDKIT": "0"}
    argv = ["docker", "build", "-t", "built:cli", "--build-arg", "WHO=you", "--label", "x=y", where]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Step 1/3 : FROM busybox" in done.stdout
    assert "a.txt" in done.stdout
    assert "c.txt" not in done.stdout
    assert "Successfully tagged built:cli" in done.stdout
    assert docker("run", "--rm", "built:cli").stdout == "hello you\n"
    assert docker("inspect", "-f", "{{.Config.Labels.x}}", "built:cli").stdout == "y\n"
    again = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout.count("Using cache") == 2
    docker("rmi", "built:cli")


def test_the_sdk_builds_from_a_lone_dockerfile(client: sdk.DockerClient) -> None:
    image, lines = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo made\nENV A=b\n"), tag="built:sdk")
    assert "A=b" in image.attrs["Config"]["Env"]
    assert any("made" in line.get("stream", "") for line in lines)
    client.images.remove("built:sdk")


def test_a_command_that_fails_ends_the_build_with_its_code(client: sdk.DockerClient) -> None:
    with pytest.raises(BuildError) as raised:
        client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo before; exit 7\nRUN never\n"))
    assert "returned a non-zero code: 7" in str(raised.value)
    assert any("before" in line.get("stream", "") for line in raised.value.build_log)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"FROM busybox\nRUM x\n", "Dockerfile:2:1: unknown instruction: RUM (did you mean RUN?)"),
        (b"FROM busybox\nCOPY nothing /\n", "nothing: file not found"),
        (b"FROM 127.0.0.1:1/nothing\n", "127.0.0.1:1"),
        (b"FROM busybox\nADD https://example.test/x /\n", "is not supported by this release"),
        (b"FROM busybox\nUSER nobody-here\nRUN x\n", "unable to find user nobody-here"),
        (b"", "file with no instructions"),
    ],
)
def test_what_cannot_be_built_says_why(client: sdk.DockerClient, text: bytes, message: str) -> None:
    with pytest.raises((APIError, BuildError)) as raised:
        client.images.build(fileobj=io.BytesIO(text), pull=False)
    assert message in str(raised.value)


def test_stages_and_targets(client: sdk.DockerClient, tmp_path: Path) -> None:
    where = context(
        tmp_path,
        {
            "Dockerfile": "FROM busybox AS one\nRUN echo 1 > /one\nFROM busybox AS broken\nRUN false\n"
            "FROM busybox AS two\nCOPY --from=one --chown=3:4 --chmod=600 /one /sub/\n",
        },
    )
    client.images.build(path=where, tag="built:stages", target="two")
    said = client.containers.run("built:stages", ["stat", "-c", "%u %g %a %n", "/sub/one"], remove=True)
    assert said == b"3 4 600 /sub/one\n"
    client.images.remove("built:stages")


def test_a_client_that_goes_away_stops_its_build(daemon: Daemon) -> None:
    body = io.BytesIO()
    text = b"FROM busybox\nRUN echo begun; sleep 600\n"
    with tarfile.open(fileobj=body, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    client = daemon.client()
    response = client.api._post(
        client.api._url("/build"), data=body.getvalue(), headers={"Content-Type": "application/x-tar"}, stream=True
    )
    for chunk in response.iter_content(None):
        if b"begun" in chunk:
            break
    response.close()
    client.close()
    deadline = time.monotonic() + 30
    while os.listdir(daemon.root / "exec" / "builds") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert os.listdir(daemon.root / "exec" / "builds") == []


def test_the_cache_is_told_and_pruned(client: sdk.DockerClient) -> None:
    client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo for the cache > /x\n"), tag="built:cache")
    rows = client.api.df()["BuildCache"]
    assert any("for the cache" in row["Description"] and row["Size"] > 0 for row in rows)
    pruned = client.api.prune_builds(all=True)
    assert pruned["SpaceReclaimed"] > 0
    assert client.api.df()["BuildCache"] == []
    assert client.containers.run("built:cache", ["cat", "/x"], remove=True) == b"for the cache\n"
    client.images.remove("built:cache")
