"""Builds through the classic API: the real docker CLI and the Docker SDK for Python."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker as sdk
import pytest
from docker.errors import APIError, BuildError

from tests.archives import files
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
        (b"FROM busybox\nADD https://127.0.0.1:1/x /\n", "cannot fetch https://127.0.0.1:1/x"),
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
    body = files({"Dockerfile": "FROM busybox\nRUN echo begun; sleep 600\n"})
    client = daemon.client()
    response = client.api._post(
        client.api._url("/build"), data=body, headers={"Content-Type": "application/x-tar"}, stream=True
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
    assert any(row["Shared"] for row in rows if "for the cache" in row["Description"])
    pruned = client.api.prune_builds(all=True)
    assert pruned["CachesDeleted"]  # its image keeps what it is made of
    assert client.api.df()["BuildCache"] == []
    assert client.containers.run("built:cache", ["cat", "/x"], remove=True) == b"for the cache\n"
    client.images.remove("built:cache")


def test_squash_security_options_caches_and_times_of_the_classic_api(client: sdk.DockerClient) -> None:
    text = "FROM busybox\nRUN echo gone > /gone\nRUN rm /gone && grep Seccomp: /proc/self/status && touch /made\n"
    image, _ = _post(client, text, t="extra:1", squash="1")
    assert len(image.attrs["RootFS"]["Layers"]) == 2
    _, said = _post(client, text, securityopt='["seccomp=unconfined"]', nocache="1")
    assert "Seccomp:\t0" in said
    _, said = _post(client, text, cachefrom='["extra:1"]')
    assert "Using cache" in said
    kept, _ = _post(client, text, t="extra:2", **{"dockwright-keep-times": "1"})
    assert client.containers.run("extra:2", "stat -c %Y /made", remove=True) > b"1700000000"
    assert kept.attrs["Created"] > "2024"
    both, _ = _post(
        client,
        "FROM scratch\nARG TARGETARCH\nLABEL a=$TARGETARCH\n",
        t="extra:3",
        platform=["linux/amd64", "linux/arm64"],
    )
    assert both.attrs["Config"]["Labels"] == {"a": "amd64"}
    named, _ = _post(client, "FROM busybox\n", outputs='[{"Type": "image", "Attrs": {"name": "extra:4"}}]')
    assert named.tags == ["extra:4"]
    for number in range(1, 5):
        client.images.remove(f"extra:{number}", force=True)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"outputs": '[{"Type": "tar", "Attrs": {}}]'}, "by BuildKit's protocol alone"),
        ({"outputs": '[{"Type": "image", "Attrs": {"colour": "red"}}]'}, "colour"),
        ({"outputs": "x"}, "invalid outputs"),
        ({"securityopt": '["magic=on"]'}, "magic=on"),
        ({"cachefrom": '["type=gha"]'}, "type gha"),
    ],
)
def test_parameters_that_do_not_fit_say_why(client: sdk.DockerClient, query: dict[str, str], why: str) -> None:
    response = client.api.post(
        client.api.base_url + "/build", params=query, data=files({"Dockerfile": "FROM busybox\n"})
    )
    assert why in response.text
    assert response.status_code >= 400 or "errorDetail" in response.text


def _post(client: sdk.DockerClient, text: str, **query: object) -> tuple[Any, str]:
    """Build `text` with parameters that the SDK does not know; the image and what was said."""
    response = client.api.post(client.api.base_url + "/build", params=query, data=files({"Dockerfile": text}))
    lines = [json.loads(line) for line in response.text.splitlines()]
    said = "".join(line.get("stream", "") for line in lines)
    found = [line["aux"]["ID"] for line in lines if "aux" in line]
    assert found, response.text
    return client.images.get(found[-1]), said


def test_a_step_of_any_user_reads_the_context(client: sdk.DockerClient, tmp_path: Path) -> None:
    where = context(
        tmp_path, {"Dockerfile": "FROM busybox\nUSER 1000\nRUN --mount=target=/m cat /m/a.txt\n", "a.txt": "all"}
    )
    _, lines = client.images.build(path=where)
    assert any("all" in line.get("stream", "") for line in lines)
