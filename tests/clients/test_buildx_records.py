"""What today's buildx and compose ask beside builds: the history of builds, what the cache holds, bake's and compose's plans."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.dockercommand import LIMIT_S, Client
from tests.debianclients import SUITES
from tests.host import Daemon
from tests.repositories import Repository, Server
from tests.webserver import Exchange, WebServer

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_images_left")]
NAP = 20_000 + os.getpid()


@pytest.fixture
def client(dockers: Callable[[str], Client]) -> Client:
    """The newest of Debian's: older ones know no history."""
    return dockers(SUITES[-1])


@pytest.fixture(params=SUITES)
def each(request: pytest.FixtureRequest, dockers: Callable[[str], Client]) -> Client:
    return dockers(request.param)


def _built(client: Client, *arguments: str) -> str:
    """The ref of a build, which may fail."""
    client.run("buildx", "build", "--metadata-file", "../told.json", "--progress", "plain", *arguments)
    return str(json.loads((client.root / "../told.json").read_text())["buildx.build.ref"]).rpartition("/")[2]


def _refs(client: Client, *arguments: str) -> list[str]:
    said = client.says("buildx", "history", "ls", "--no-trunc", "--format", "json", *arguments)
    return [json.loads(line)["ref"].rpartition("/")[2] for line in said.splitlines()]


def test_a_build_is_recorded_with_what_it_said_and_made(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\nARG WORD\nRUN echo heard $WORD\n"})
    ref = _built(client, "--no-cache", "--build-arg", "WORD=words", "-t", "records:1", ".")
    assert ref in _refs(client)
    assert "heard words" in client.run("buildx", "history", "logs", ref).stderr
    found = json.loads(client.says("buildx", "history", "inspect", "--format", "json", ref))
    assert found["Status"] == "completed"
    assert found["NumCompletedSteps"] == found["NumTotalSteps"] >= 5
    assert found["BuildArgs"] == [{"Name": "WORD", "Value": "words"}]
    assert found["Materials"][0]["URI"].startswith("pkg:docker/busybox@latest")
    kinds = {one["Type"] for one in found["Attachments"]}
    assert {"application/vnd.oci.image.index.v1+json", "https://slsa.dev/provenance/v1"} <= kinds
    provenance = client.says("buildx", "history", "inspect", "attachment", "--type", "provenance", ref)
    assert "buildDefinition" in json.loads(provenance)
    index = client.says("buildx", "history", "inspect", "attachment", "--type", "index", ref)
    assert len(json.loads(index)["manifests"]) == 2
    client.says("buildx", "history", "export", "-o", "../bundle.tar", ref)
    with tarfile.open(client.root / "../bundle.tar") as bundle:
        assert "index.json" in bundle.getnames()
    client.says("buildx", "history", "rm", ref)
    assert ref not in _refs(client)
    assert "no record found" in client.run("buildx", "history", "logs", ref).stderr


def test_the_metadata_of_a_build_has_its_provenance(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\n"})
    _built(client, "--provenance", "mode=max", ".")
    told = json.loads((client.root / "../told.json").read_text())
    assert told["buildx.build.provenance"]["materials"][0]["uri"].startswith("pkg:docker/busybox@latest")


def test_a_failed_build_is_recorded_with_its_place_and_its_output(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\nRUN echo so far; exit 3\n"})
    client.run("buildx", "build", "--no-cache", "--progress", "plain", "--label", f"nap={NAP}", ".")
    (ref,) = _refs(client, "--filter", "status=error")[:1]
    said = client.says("buildx", "history", "inspect", ref)
    assert "   2 | >>> RUN echo so far; exit 3" in said
    assert "> so far" in said
    assert "did not complete successfully: exit code: 3" in said
    client.says("buildx", "history", "rm", ref)


def test_a_build_under_way_is_listed_and_one_that_was_given_up_recorded(client: Client) -> None:
    client.write({"Dockerfile": f"FROM busybox\nRUN echo begun && sleep {NAP}\n"})
    running = subprocess.Popen(
        [client.docker, "buildx", "build", "--progress", "plain", "."],
        cwd=client.root,
        env=client.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    try:
        assert any("begun" in line and "echo" not in line for line in running.stderr)
        (ref,) = _refs(client, "--filter", "status=running")
        running.send_signal(signal.SIGINT)
        running.stderr.read()
        assert running.wait(LIMIT_S) != 0
    finally:
        running.kill()
        running.wait()
        running.stderr.close()
    found = json.loads(client.says("buildx", "history", "inspect", "--format", "json", ref))
    assert found["Status"] == "canceled"
    client.says("buildx", "history", "rm", ref)


def test_records_outlive_the_daemon_and_checks_leave_none(
    own_daemon: Daemon, client: Client, dockers: Callable[[str], Client]
) -> None:
    client.environment["DOCKER_HOST"] = own_daemon.url
    client.write({"Dockerfile": "FROM busybox\nRUN echo kept\n"})
    ref = _built(client, ".")
    client.says("buildx", "build", "--check", ".")
    client.says("buildx", "prune", "-f", "--max-used-space", "1gb")
    own_daemon.kill()
    own_daemon.start()
    assert _refs(client) == [ref]
    assert "kept" in client.run("buildx", "history", "logs", ref).stderr
    client.says("buildx", "history", "rm", "--all")
    assert _refs(client) == []


def test_records_are_chosen_by_state_and_time(own_daemon: Daemon, client: Client) -> None:
    client.environment["DOCKER_HOST"] = own_daemon.url
    client.write({"Dockerfile": "FROM busybox\n", "Dockerfile.bad": "FROM busybox\nRUN false\n"})
    good = _built(client, ".")
    client.run("buildx", "build", "-f", "Dockerfile.bad", ".")
    assert len(_refs(client)) == 2
    assert _refs(client, "--filter", "status=completed") == [good]
    assert _refs(client, "--filter", "status!=error") == [good]
    assert _refs(client, "--filter", f"ref={good[:8]}") == [good]
    assert len(_refs(client, "--filter", "startedAt>1h")) == 2
    assert _refs(client, "--filter", "startedAt<1h") == []
    assert _refs(client, "--filter", "duration>1h") == []


def test_the_cache_is_listed_and_pruned_by_filters(own_daemon: Daemon, each: Client) -> None:
    each.environment["DOCKER_HOST"] = own_daemon.url
    each.write({"Dockerfile": "FROM busybox\nCOPY a /a\nRUN echo one > /one\nRUN echo two > /two\n", "a": "A"})
    each.build(".")

    def listed(*arguments: str) -> str:
        return each.says("buildx", "du", "--verbose", *arguments)

    assert {"regular", "source.local"} == set(re.findall(r"^Type:\s+(\S+)$", listed(), re.MULTILINE))
    assert set(re.findall(r"^Type:\s+(\S+)$", listed("--filter", "type=regular"), re.MULTILINE)) == {"regular"}
    assert "echo one" not in listed("--filter", "description~=two")
    (one,) = re.findall(r"^ID:\s+(\S+)$", listed("--filter", "description~=echo one"), re.MULTILINE)
    assert re.findall(r"^ID:\s+(\S+)$", listed("--filter", f"id={one}"), re.MULTILINE) == [one]
    assert "echo one" in listed("--filter", "shared=true")  # with the image that was made
    assert "source.local" in listed("--filter", "private=true")
    each.says("buildx", "prune", "-af", "--filter", "until=1h")
    assert "echo one" in listed()
    each.says("buildx", "prune", "-f", "--filter", "description~=echo two")
    assert "echo two" in listed("--filter", "shared=true"), "an image is made of it"
    each.says("buildx", "prune", "-af", "--filter", "description~=echo two")
    assert "echo two" not in listed()
    each.says("buildx", "prune", "-f", "--filter", "mutable=true")
    assert "source.local" not in listed()
    assert "echo one" in listed()


def test_the_cache_is_pruned_to_a_size(own_daemon: Daemon, client: Client) -> None:
    client.environment["DOCKER_HOST"] = own_daemon.url
    client.write({"Dockerfile": "FROM busybox\nRUN echo one > /one\n"})
    client.build(".")
    bounds = ("--reserved-space", "1mb", "--min-free-space", "1mb")
    client.says("buildx", "prune", "-af", "--max-used-space", "1gb", *bounds)
    assert "echo one" in client.says("buildx", "du", "--verbose")
    client.says("buildx", "prune", "-af", "--max-used-space", "1", "--reserved-space", "0")
    assert "echo one" not in client.says("buildx", "du", "--verbose")


def test_the_builder_tells_of_itself(each: Client) -> None:
    said = each.says("buildx", "inspect")
    assert re.search(r"GC Policy rule#3:\s+All:\s+true", said)
    assert "running" in each.says("buildx", "ls")


def test_bake_makes_groups_matrices_and_what_it_may(each: Client, daemon: Daemon) -> None:
    each.write(
        {
            "docker-bake.hcl": """
                variable "TAG" { default = "first" }
                group "default" { targets = ["words", "plain"] }
                target "words" {
                  name = "word-${word}"
                  matrix = { word = ["here", "there"] }
                  args = { WORD = word }
                  tags = ["bake-${word}:${TAG}"]
                }
                target "plain" { tags = ["bake-plain:${TAG}"] }
                target "host" {
                  network = "host"
                  entitlements = ["network.host"]
                }
            """,
            "Dockerfile": "FROM busybox\nARG WORD=none\nRUN echo $WORD > /word\nCMD cat /word\n",
        }
    )
    printed = json.loads(each.says("buildx", "bake", "--print"))
    assert sorted(printed["target"]) == ["plain", "word-here", "word-there"]
    done = each.run("buildx", "bake", "--progress", "plain", TAG="second")
    assert done.returncode == 0, done.stderr
    for name, said in (("here", "here\n"), ("there", "there\n"), ("plain", "none\n")):
        assert each.says("run", "--rm", "--network", "none", f"bake-{name}:second") == said
    done = each.run("buildx", "bake", "--progress", "plain", "host", *_allowed(each))
    assert done.returncode == 0, done.stderr


def _allowed(client: Client) -> tuple[str, ...]:
    """Older clients take what the file asks for as allowed."""
    return ("--allow", "network.host") if "--allow" in client.says("buildx", "bake", "--help") else ()


def test_bake_checks_and_describes_targets(client: Client) -> None:
    client.write(
        {
            "docker-bake.hcl": 'group "default" { targets = ["a", "b"] }\ntarget "a" {}\ntarget "b" { target = "base" }\n',
            "Dockerfile": "FROM busybox AS base\nARG WORD=x\nFROM base\n",
        }
    )
    assert client.says("buildx", "bake", "--check").count("Check complete, no warnings found.") == 2
    assert "WORD" in client.says("buildx", "bake", "--call", "outline")


def test_compose_builds_and_starts(each: Client) -> None:
    each.write(
        {
            "compose.yaml": """
                services:
                  one:
                    build: {context: ., args: {WORD: composed}}
                    network_mode: none
                  two:
                    build: {dockerfile_inline: "FROM busybox\\nRUN echo inline > /two\\nCMD cat /two"}
                    network_mode: none
            """,
            "Dockerfile": "FROM busybox\nARG WORD\nRUN echo $WORD > /word\nCMD cat /word\n",
        }
    )
    name = f"up{os.getpid()}"
    try:
        done = each.run("compose", "-p", name, "up", "--build")
        assert done.returncode == 0, done.stderr
        assert re.search(r"one-1\s+\| composed", done.stdout)
        assert re.search(r"two-1\s+\| inline", done.stdout)
    finally:
        each.run("compose", "-p", name, "down", "--rmi", "all")


def test_bake_and_dockerfiles_come_from_addresses(each: Client, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.commit(
        {
            "docker-bake.hcl": 'target "default" { tags = ["remote:bake"] }\n',
            "Dockerfile": "FROM busybox\nCOPY file /file\nCMD cat /file\n",
            "file": "from the repository\n",
        }
    )
    with Server() as server:
        server.repositories["app"] = repository
        done = each.run("buildx", "bake", "--progress", "plain", server.address("app"))
        assert done.returncode == 0, done.stderr
    assert each.says("run", "--rm", "--network", "none", "remote:bake") == "from the repository\n"

    def answer(exchange: Exchange) -> None:
        exchange.send(200, {}, b"FROM busybox\nCOPY here /here\nCMD cat /here\n")

    each.write({"here": "from here\n"})
    with WebServer(answer) as files:
        each.build("-t", "remote:file", "-f", f"{files.url}/Dockerfile", ".")
    assert each.says("run", "--rm", "--network", "none", "remote:file") == "from here\n"
