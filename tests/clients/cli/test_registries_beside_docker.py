"""Docker's command line and ours against the same registries: output, errors, exit codes and files alike, byte for byte."""

from __future__ import annotations

import filecmp
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.registries import OURS, Client, World, world

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def here(scratch: Path, busybox_image: Path) -> Iterator[World]:
    with world(scratch / "beside", busybox_image, f"dwb{os.getpid()}") as found:
        client = found.daemon.client()
        for tag in ("1", "amd", "arm"):
            client.images.get("busybox").tag(found.plain.name("bb"), tag)
            client.images.push(found.plain.name("bb"), tag)
        client.close()
        yield found


@pytest.fixture
def docker(docker_cli: str, here: World, tmp_path: Path) -> Client:
    return Client([docker_cli], here.daemon, tmp_path / "docker")


@pytest.fixture
def ours(here: World, tmp_path: Path) -> Client:
    return Client(OURS, here.daemon, tmp_path / "ours")


def said(client: Client, line: str, here: World) -> tuple[int, str, str]:
    """Exit code, output and errors of one command line; `R` stands for the plain registry, `A` for one with passwords."""
    words = [
        word.replace("R/", f"{here.plain.host}/").replace("A/", f"{here.locked.host}/").replace("A!", here.locked.host)
        for word in line.split()
    ]
    done: subprocess.CompletedProcess[str] = client(*words, check=False)
    return (
        done.returncode,
        done.stdout,
        done.stderr.replace(str(client.home), "HOME").replace("docker: ", "dockwright: "),
    )


@pytest.mark.parametrize(
    "line",
    [
        "pull R/bb:1",
        "pull -q R/bb:1",
        "pull R/bb",
        "pull -q R/bb",
        "pull -a R/bb",
        "pull -aq R/bb",
        "pull -a R/bb:1",
        "pull R/bb:none",
        "pull R/none:1",
        "pull UPPER",
        "pull a b",
        "pull",
        "pull --platform linux/s390x R/bb:1",
        "pull --platform nonsense/x/y/z R/bb:1",
        "pull A/none:1",
        "push R/bb:1",
        "push -q R/bb:1",
        "push R/bb",
        "push -a R/bb:1",
        "push R/nothere:1",
        "push R/nothere",
        "push UPPER",
        "push A/nothere:1",
        "login A!",
        "login -u alice A!",
        "login -u alice -p wrong A!",
        "login -p x --password-stdin A!",
        "login --password-stdin A!",
        "login a b",
        "logout A!",
        "logout",
        "logout a b",
        "search R/bb",
        "search --limit 1 R/b",
        "search --limit 1000 R/bb",
        "search --limit x R/bb",
        "search --filter is-official=true R/bb",
        "search --filter nope=1 R/bb",
        "search --no-trunc R/bb",
        "search --format json R/bb",
        "search --format {{.Name}}:{{.StarCount}}:{{.IsOfficial}} R/bb",
        "search",
        "manifest inspect --insecure R/bb:1",
        "manifest inspect --insecure -v R/bb:1",
        "manifest inspect --insecure R/bb:none",
        "manifest create R/new:1",
        "manifest create R/new:1 R/none:1",
        "manifest annotate R/new:1 R/bb:1 --os linux",
        "manifest push R/new:1",
        "manifest rm R/new:1 b",
    ],
)
def test_a_line_is_answered_alike(docker: Client, ours: Client, here: World, line: str) -> None:
    assert _comparable(said(ours, line, here)) == _comparable(said(docker, line, here))


def _comparable(answer: tuple[int, str, str]) -> tuple[int, str, str]:
    """Usage texts are our own; what went wrong comes before them."""
    code, out, error = answer
    if "Usage:" in error:
        error = error.partition("\n")[0].replace("dockwright", "docker")
    return code, out, error


def test_a_list_is_made_annotated_shown_and_pushed_alike(docker: Client, ours: Client, here: World) -> None:
    lines = [
        "manifest create --insecure R/list:1 R/bb:amd",
        "manifest create R/list:1 R/bb:arm",
        "manifest create --insecure --amend R/list:1 R/bb:arm",
        "manifest annotate R/list:1 R/bb:arm --arch arm64 --variant v8 --os-features a,b --os-version 9",
        "manifest annotate R/list:1 R/bb:none --arch arm64",
        "manifest inspect R/list:1",
        "manifest inspect -v R/list:1",
        "manifest inspect R/list:1 R/bb:arm",
        "manifest inspect -v R/list:1 R/bb:arm",
        "manifest inspect R/list:1 R/bb:none",
        "manifest push --insecure R/list:1",
    ]
    for line in lines:
        assert said(ours, line, here) == said(docker, line, here), line
    kept = [Path(client.home) / "config" / "manifests" for client in (docker, ours)]
    found = [sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) for root in kept]
    assert found[0] == found[1]
    assert len(found[0]) == 2
    assert filecmp.cmpfiles(*kept, found[0], shallow=False) == (found[0], [], [])
    for line in (
        "manifest push --insecure --purge R/list:1",
        "manifest inspect --insecure R/list:1",
        "manifest inspect --insecure -v R/list:1",
        "manifest create --insecure R/other:1 R/list:1",
        "manifest push R/list:1",
    ):
        assert said(ours, line, here) == said(docker, line, here), line
    shown = here.daemon.client()
    data = shown.images.get_registry_data(f"{here.plain.host}/list:1")
    assert [one["architecture"] for one in data.attrs["Platforms"]] == ["amd64", "arm64"]
    shown.close()


def test_each_pushes_the_list_that_the_other_made(docker: Client, ours: Client, here: World) -> None:
    name = f"{here.plain.host}/shared:1"
    ours.environment["DOCKER_CONFIG"] = docker.environment["DOCKER_CONFIG"]
    for maker, pusher in ((docker, ours), (ours, docker)):
        maker("manifest", "create", "--insecure", name, f"{here.plain.host}/bb:amd", f"{here.plain.host}/bb:arm")
        pusher("manifest", "push", "--insecure", "--purge", name)
    docker("pull", "-q", name)
    docker("rmi", name)


def test_blobs_of_a_list_come_from_the_repositories_of_its_images(ours: Client, here: World) -> None:
    host = here.plain.host
    ours("manifest", "create", f"{host}/apart/list:1", f"{host}/bb:amd")
    ours("manifest", "push", f"{host}/apart/list:1")
    before = len(here.plain.requests())
    ours("pull", "-q", f"{host}/apart/list:1")
    ours("rmi", f"{host}/apart/list:1")
    assert all(one.status < 400 for one in here.plain.requests()[before:])
    ours("manifest", "create", f"{here.locked.host}/list:1", f"{host}/bb:amd")
    refused = ours("manifest", "push", f"{here.locked.host}/list:1", check=False)
    assert "cannot use source images from a different registry than the target image" in refused.stderr
