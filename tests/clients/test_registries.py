"""Docker's command line and ours, through the daemon, against Debian's docker-registry; skopeo as a foreign witness."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker as sdk
import pytest
from docker.errors import APIError, NotFound

from tests.clients.registries import OURS, Client, World, world
from tests.registries import PASSWORD, USERNAME
from tests.webserver import Between, Exchange

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def here(scratch: Path, busybox_image: Path) -> Iterator[World]:
    with world(scratch / "registries", busybox_image, f"dwr{os.getpid()}") as found:
        yield found


@pytest.fixture(params=["docker", "dockwright"])
def client(request: pytest.FixtureRequest, here: World, tmp_path: Path) -> Client:
    """Docker's command line, then ours."""
    if request.param == "docker":
        return Client([request.getfixturevalue("docker_cli")], here.daemon, tmp_path / "home")
    return Client(OURS, here.daemon, tmp_path / "home")


@pytest.fixture
def label(request: pytest.FixtureRequest, here: World) -> Iterator[str]:
    """A repository's name for this test alone; its images go afterwards."""
    chosen = f"t{abs(hash(request.node.nodeid)) % 10**8}"
    yield chosen
    engine = here.daemon.client()
    for image in engine.images.list():
        for name in image.tags:
            if f"/{chosen}" in name or name.startswith(chosen):
                engine.images.remove(name, force=True)
    engine.close()


def image_of_its_own(client: Client, name: str, content: str) -> str:
    """An image on busybox that no other test has; its id."""
    container = client("create", "--network=none", "busybox", "sh", "-c", f"echo {content} >/own").stdout.strip()
    client("start", "-a", container)
    image = client("commit", container, name).stdout.strip()
    client("rm", container)
    return image


@pytest.mark.parametrize("kind", ["plain", "locked", "token", "tls"])
def test_what_is_pushed_is_pulled_with_the_same_id_and_runs(client: Client, here: World, label: str, kind: str) -> None:
    server = here[kind]
    name = f"{server.host}/{label}:1"
    image = image_of_its_own(client, name, label)
    if server.username:
        client.login(server)
    pushed = client("push", name).stdout
    assert f"The push refers to repository [{server.host}/{label}]" in pushed
    assert f"1: digest: {image} size: " in pushed
    client("rmi", name)
    pulled = client("pull", name).stdout
    assert f"1: Pulling from {label}" in pulled
    assert f"Digest: {image}" in pulled
    assert f"Status: Downloaded newer image for {name}" in pulled
    assert client("image", "inspect", "-f", "{{.Id}}", name).stdout.strip() == image
    assert client("run", "--rm", "--network=none", name, "cat", "/own").stdout == f"{label}\n"
    assert "Status: Image is up to date for" in client("pull", name).stdout


@pytest.mark.parametrize("kind", ["locked", "token", "tls"])
def test_without_a_login_nothing_goes_and_nothing_comes(client: Client, here: World, label: str, kind: str) -> None:
    server = here[kind]
    name = f"{server.host}/{label}:1"
    client("tag", "busybox", name)
    refused = client("push", name, check=False)
    assert refused.returncode == 1
    assert (
        "no basic auth credentials" in refused.stderr or "denied" in refused.stderr or "unauthorized" in refused.stderr
    )
    client("rmi", name)
    assert client("pull", name, check=False).returncode == 1
    wrong = client("login", "-u", USERNAME, "--password-stdin", server.host, stdin=b"wrong", check=False)
    assert wrong.returncode == 1
    assert "unauthorized" in wrong.stderr.lower()


def test_a_login_is_one_for_both_command_lines(client: Client, here: World, label: str, docker_cli: str) -> None:
    client.login(here.locked)
    others = [Client([docker_cli], here.daemon, client.home), Client(OURS, here.daemon, client.home)]
    name = f"{here.locked.host}/{label}:1"
    client("tag", "busybox", name)
    for other in others:
        other("push", name)
    client("logout", here.locked.host)
    for other in others:
        assert other("push", name, check=False).returncode == 1


def test_run_pulls_what_is_missing_as_it_is_told_to(client: Client, here: World, label: str) -> None:
    client.login(here.locked)
    name = f"{here.locked.host}/{label}:1"
    image_of_its_own(client, name, label)
    client("push", "-q", name)
    client("rmi", name)
    never = client("run", "--rm", "--pull=never", "--network=none", name, "true", check=False)
    assert never.returncode == 125
    assert "No such image" in never.stderr
    missing = client("run", "--rm", "--network=none", name, "cat", "/own")
    assert missing.stdout == f"{label}\n"
    assert f"Unable to find image '{name}' locally" in missing.stderr
    assert "Status: Downloaded newer image" in missing.stderr
    assert client("run", "--rm", "--network=none", name, "true").stderr == ""
    always = client("run", "--rm", "--pull=always", "--network=none", name, "true")
    assert "Status: Image is up to date" in always.stderr
    assert client("run", "--rm", "--pull=always", "-q", "--network=none", name, "true").stderr == ""


def test_all_tags_of_a_repository_go_and_come(client: Client, here: World, label: str) -> None:
    name = here.plain.name(label)
    for tag in ("a", "b", "c"):
        client("tag", "busybox", f"{name}:{tag}")
    client("push", "-a", name)
    client("rmi", *(f"{name}:{tag}" for tag in "abc"))
    client("pull", "-a", name)
    assert client("images", "--format", "{{.Tag}}", name).stdout.split() == ["a", "b", "c"]


def test_a_digest_is_pulled_and_shown(client: Client, here: World, label: str) -> None:
    name = here.plain.name(label)
    image = image_of_its_own(client, f"{name}:1", label)
    client("push", "-q", f"{name}:1")
    client("rmi", f"{name}:1")
    client("pull", "-q", f"{name}@{image}")
    assert client("images", "--digests", "--format", "{{.Tag}} {{.Digest}}", name).stdout.split() == ["<none>", image]
    client("rmi", f"{name}@{image}")


def test_a_search_finds_what_a_registry_has(client: Client, here: World, label: str) -> None:
    name = here.plain.name(label)
    client("tag", "busybox", f"{name}:1")
    client("push", "-q", f"{name}:1")
    assert client("search", "--format", "{{.Name}}", f"{here.plain.host}/{label[:-1]}").stdout.split() == [name]
    assert client("search", "--limit", "1", here.plain.name("t")).stdout.count("\n") == 2
    assert client("search", "-f", "is-official=true", "--format", "{{.Name}}", name).stdout == ""


def test_what_is_saved_is_loaded(client: Client, here: World, label: str, tmp_path: Path) -> None:
    image = image_of_its_own(client, f"{label}:1", label)
    archive = tmp_path / "saved.tar"
    client("save", "-o", str(archive), f"{label}:1", "busybox")
    client("rmi", f"{label}:1")
    assert f"Loaded image: {label}:1" in client("load", "-i", str(archive)).stdout
    assert client("image", "inspect", "-f", "{{.Id}}", f"{label}:1").stdout.strip() == image
    piped = client("load", stdin=archive.read_bytes())
    assert f"Loaded image: {label}:1" in piped.stdout


@pytest.mark.parametrize("kind", ["locked", "token"])
def test_a_list_of_manifests_is_made_with_a_login(client: Client, here: World, label: str, kind: str) -> None:
    server = here[kind]
    name = f"{server.host}/{label}"
    client.login(server)
    for tag in ("amd", "arm"):
        image_of_its_own(client, f"{name}:{tag}", f"{label}-{tag}")
        client("push", "-q", f"{name}:{tag}")
    client("manifest", "create", "--insecure", f"{name}:list", f"{name}:amd", f"{name}:arm")
    client("manifest", "annotate", f"{name}:list", f"{name}:arm", "--arch", "arm64")
    pushed = client("manifest", "push", "--insecure", "--purge", f"{name}:list").stdout.split()[-1]
    client("rmi", f"{name}:amd", f"{name}:arm")
    client("pull", f"{name}:list")
    assert client("image", "inspect", "-f", "{{.Id}}", f"{name}:list").stdout.strip() == pushed
    assert client("run", "--rm", "--network=none", f"{name}:list", "cat", "/own").stdout == f"{label}-amd\n"
    client("logout", server.host)
    if kind == "locked":  # the token server lets anybody read
        assert client("manifest", "inspect", "--insecure", f"{name}:list", check=False).returncode == 1


def test_ctrl_c_gives_a_pull_up(client: Client, here: World, label: str) -> None:
    image_of_its_own(client, here.plain.name(f"{label}:1"), label)
    client("push", "-q", here.plain.name(f"{label}:1"))
    client("rmi", here.plain.name(f"{label}:1"))
    asked, gone = threading.Event(), threading.Event()
    with Between(here.plain.host) as between:

        def stall(exchange: Exchange) -> None:
            asked.set()
            if exchange._handler.connection.recv(1) == b"":  # the daemon hangs up
                gone.set()

        between.misbehave("GET .*/manifests/", stall, times=50)
        between.misbehave("HEAD .*/manifests/", stall, times=50)
        pulling = subprocess.Popen(
            [*client.program, "pull", f"{between.host}/{label}:1"],
            env=client.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert asked.wait(30)
        pulling.send_signal(signal.SIGINT)
        assert pulling.wait(30) in (1, 130, -signal.SIGINT)
        assert gone.wait(30)


# -- skopeo ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def skopeo() -> str:
    path = shutil.which("skopeo")
    if path is None:
        pytest.skip("skopeo (the Debian package) is missing")
    return path


def run_skopeo(program: str, *words: str, home: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "XDG_RUNTIME_DIR": str(home)}
    command = [program, "--insecure-policy", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def verified(layout: Path) -> list[str]:
    """Hash every blob of an OCI layout; the digests of its manifests."""
    for blob in (layout / "blobs" / "sha256").iterdir():
        hashed = subprocess.run(["sha256sum", str(blob)], capture_output=True, text=True, check=True).stdout.split()[0]
        assert hashed == blob.name
    return [one["digest"] for one in json.loads((layout / "index.json").read_text())["manifests"]]


@pytest.fixture
def ours(here: World, tmp_path: Path) -> Client:
    return Client(OURS, here.daemon, tmp_path / "home")


def test_skopeo_verifies_what_we_pushed(ours: Client, here: World, label: str, skopeo: str, tmp_path: Path) -> None:
    name = f"{here.plain.host}/{label}:1"
    image = image_of_its_own(ours, name, label)
    ours("push", "-q", name)
    layout = tmp_path / "layout"
    run_skopeo(
        skopeo,
        "copy",
        "--src-tls-verify=false",
        "--preserve-digests",
        f"docker://{name}",
        f"oci:{layout}:1",
        home=tmp_path,
    )
    assert verified(layout) == [image]
    shown = json.loads(run_skopeo(skopeo, "inspect", "--tls-verify=false", f"docker://{name}", home=tmp_path))
    assert (shown["Digest"], shown["Os"]) == (image, "linux")


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_skopeo_reads_what_we_saved_and_we_load_what_it_writes(
    ours: Client, here: World, label: str, skopeo: str, tmp_path: Path, form: str
) -> None:
    image_of_its_own(ours, f"{label}:1", label)
    saved, layout, written = tmp_path / "saved.tar", tmp_path / "layout", tmp_path / "written.tar"
    ours("save", "-o", str(saved), f"{label}:1")
    run_skopeo(skopeo, "copy", f"docker-archive:{saved}", f"oci:{layout}:1", home=tmp_path)
    assert verified(layout)
    ours("rmi", f"{label}:1")
    target = f"{form}:{written}:{label}:1"
    run_skopeo(skopeo, "copy", f"oci:{layout}:1", target, home=tmp_path)
    assert "Loaded image" in ours("load", "-i", str(written)).stdout
    found = ours("images", "-q", "--no-trunc", "--filter", f"reference={label}:1").stdout.split()
    loaded = found[0] if found else ours("images", "-q", "--no-trunc", "--filter", "dangling=true").stdout.split()[0]
    try:
        assert ours("run", "--rm", "--network=none", loaded, "cat", "/own").stdout == f"{label}\n"
    finally:
        ours("rmi", "-f", loaded)


def test_we_pull_what_skopeo_pushed(ours: Client, here: World, label: str, skopeo: str, tmp_path: Path) -> None:
    image_of_its_own(ours, f"{label}:1", label)
    saved, name = tmp_path / "saved.tar", f"{here.locked.host}/{label}:1"
    ours("save", "-o", str(saved), f"{label}:1")
    ours("rmi", f"{label}:1")
    words = ["copy", "--dest-tls-verify=false", "--dest-creds", f"{USERNAME}:{PASSWORD}", "--format", "v2s2"]
    run_skopeo(skopeo, *words, f"docker-archive:{saved}", f"docker://{name}", home=tmp_path)
    ours.login(here.locked)
    ours("pull", name)
    assert ours("run", "--rm", "--network=none", name, "cat", "/own").stdout == f"{label}\n"
    assert "distribution.manifest.v2" in ours("image", "inspect", "-f", "{{.Descriptor.mediaType}}", name).stdout


# -- the Docker SDK for Python ---------------------------------------------------------------------------------------------


@pytest.fixture
def engine(here: World) -> Iterator[sdk.DockerClient]:
    found = here.daemon.client()
    yield found
    found.close()


def test_the_sdk_pushes_and_pulls(engine: sdk.DockerClient, here: World, label: str) -> None:
    name = here.locked.name(label)
    engine.images.get("busybox").tag(name, "1")
    who = {"username": here.locked.username, "password": here.locked.password}
    lines: list[dict[str, Any]] = list(engine.images.push(name, "1", auth_config=who, stream=True, decode=True))
    assert lines[-1]["aux"]["Tag"] == "1"
    digest = lines[-1]["aux"]["Digest"]
    engine.images.remove(f"{name}:1")
    pulled = engine.images.pull(name, "1", auth_config=who)
    assert pulled.attrs["Descriptor"]["digest"] == digest
    data = engine.images.get_registry_data(f"{name}:1", auth_config=who)
    assert data.id == digest
    assert data.has_platform("linux/amd64") or data.attrs["Platforms"]
    refused = list(engine.images.push(name, "1", auth_config=who | {"password": "wrong"}, stream=True, decode=True))
    assert "error" in refused[-1]
    with pytest.raises(APIError):
        engine.images.pull(name, "1", auth_config=who | {"password": "wrong"})


def test_the_sdk_pulls_all_tags(engine: sdk.DockerClient, here: World, label: str) -> None:
    name = here.plain.name(label)
    for tag in ("a", "b"):
        engine.images.get("busybox").tag(name, tag)
    engine.images.push(name)
    for tag in ("a", "b"):
        engine.images.remove(f"{name}:{tag}")
    found = engine.images.pull(name, all_tags=True)
    assert sorted(tag for image in found for tag in image.tags if tag.startswith(name)) == [f"{name}:a", f"{name}:b"]
    with pytest.raises(NotFound):
        engine.images.pull(name, "none")


def test_the_sdk_logs_in_and_searches(engine: sdk.DockerClient, here: World, label: str) -> None:
    server = here.locked
    answer = engine.login(server.username, server.password, registry=server.host, reauth=True)
    assert answer["Status"] == "Login Succeeded"
    with pytest.raises(APIError) as refused:
        engine.login(server.username, "wrong", registry=server.host, reauth=True)
    assert refused.value.status_code == 401
    engine.images.get("busybox").tag(here.plain.name(label), "1")
    engine.images.push(here.plain.name(label), "1")
    assert [one["name"] for one in engine.images.search(here.plain.name(label))] == [here.plain.name(label)]
