"""Builds over BuildKit's protocol: `docker build`, buildx, bake and compose as Debian has them, and the docker CLI of this host."""

from __future__ import annotations

import base64
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
from tests.processes import ended, started
from tests.registries import registry

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_images_left")]
# How long steps sleep that are ended before: no other run of these tests on this host looks for the same.
NAP = 10_000 + os.getpid()


@pytest.fixture(params=SUITES)
def client(request: pytest.FixtureRequest, dockers: Callable[[str], Client]) -> Client:
    """Debian's: each test speaks as the clients of several years do."""
    return dockers(request.param)


@pytest.mark.parametrize("whose", [*SUITES, "host"])
def test_docker_build_builds_with_buildkit(whose: str, dockers: Callable[[str], Client]) -> None:
    client = dockers(whose)
    client.write(
        {
            "Dockerfile": f"# syntax=docker/dockerfile:1\nFROM busybox\nARG WHO\nCOPY . /src\nRUN echo hello $WHO {whose} > /said && ls /src\nCMD cat /said\n",
            "a.txt": "a",
            "left/out.txt": "b",
            ".dockerignore": "left\n",
        }
    )
    arguments = ("-t", f"buildx:{whose}", "--build-arg", "WHO=you", "--label", "x=y", "--iidfile", "../iid", ".")
    told = client.build(*arguments)
    for expected in (
        "[internal] load build definition from Dockerfile",
        "[internal] load .dockerignore",
        "[internal] load build context",
        "[1/3] FROM docker.io/library/busybox:latest@sha256:",
        "[2/3] COPY . /src",
        "[3/3] RUN echo hello",
        "exporting to image",
    ):
        assert expected in told
    assert "a.txt" in told
    assert "out.txt" not in told
    assert client.says("run", "--rm", "--network", "none", f"buildx:{whose}") == f"hello you {whose}\n"
    assert client.says("inspect", "-f", "{{.Config.Labels.x}}", f"buildx:{whose}") == "y\n"
    made = (client.root / "../iid").read_text()
    assert client.says("run", "--rm", "--network", "none", made) == f"hello you {whose}\n"
    assert len(re.findall(r"^#\d+ CACHED$", client.build(*arguments), re.MULTILINE)) == 2


def test_progress_is_told_as_json(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\nRUN echo in json\n"})
    done = client.run("buildx", "build", "--no-cache", "--progress", "rawjson", ".")
    assert done.returncode == 0, done.stderr
    said, text = [], done.stderr.strip()
    while text:
        status, end = json.JSONDecoder().raw_decode(text)
        said.append(status)
        text = text[end:].strip()
    vertexes = {one["digest"]: one for status in said for one in status.get("vertexes") or ()}
    assert all(one.get("completed") for one in vertexes.values())
    (step,) = [one for one in vertexes.values() if one["name"] == "[2/2] RUN echo in json"]
    (base,) = [vertexes[digest]["name"] for digest in step["inputs"]]
    assert base.startswith("[1/2] FROM docker.io/library/busybox:latest@sha256:")
    logs = [one for status in said for one in status.get("logs") or () if one["vertex"] == step["digest"]]
    assert b"".join(base64.b64decode(one["data"]) for one in logs) == b"in json\n"


def test_a_step_that_fails_is_shown_with_its_output_and_its_line(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\nRUN echo fine\nRUN echo broken; exit 3\n"})
    done = client.run("build", "--progress", "plain", ".")
    assert done.returncode == 1
    told = done.stderr
    assert re.search(r"#\d+ ERROR: process .* did not complete successfully: exit code: 3", told)
    assert " > [3/3] RUN echo broken; exit 3:\n" in told
    assert "Dockerfile:3\n" in told
    assert "   3 | >>> RUN echo broken; exit 3\n" in told
    assert re.search(
        r'ERROR: (failed to build: )?failed to solve: process "/bin/sh -c echo broken; exit 3" '
        r"did not complete successfully: exit code: 3$",
        told.rstrip(),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "FROM busybox\nRUNN x\n",
            ("   2 | >>> RUNN x", "dockerfile parse error on line 2: unknown instruction: RUNN"),
        ),
        ("# syntax=someone/else:1\nFROM busybox\n", ("   1 | >>> # syntax=someone/else:1", "someone/else:1")),
        ("FROM busybox\nCOPY missing /\n", ("   2 | >>> COPY missing /", "missing: file not found")),
        ("FROM busybox\nUSER nobody-there\nRUN id\n", ("   3 | >>> RUN id", "nobody-there")),
    ],
)
def test_a_mistake_is_shown_with_its_line(text: str, expected: tuple[str, ...], client: Client) -> None:
    client.write({"Dockerfile": text})
    done = client.run("build", "--progress", "plain", ".")
    assert done.returncode == 1
    for part in expected:
        assert part in done.stderr


def test_steps_get_what_the_client_says_of_them(client: Client) -> None:
    client.write(
        {
            "Dockerfile": "FROM busybox\nRUN grep '10.9.8.7.*elsewhere' /etc/hosts && grep here /etc/hosts && ulimit -n && df /dev/shm\n"
        }
    )
    options = ("--add-host", "elsewhere:10.9.8.7", "--add-host", "here:host-gateway", "--ulimit", "nofile=123:123")
    told = client.build("--no-cache", *options, "--shm-size", "3m", "--network", "none", ".")
    assert " 123\n" in told
    assert " 3072 " in told


def test_a_dockerfile_that_is_not_there_is_named(client: Client) -> None:
    done = client.run("build", "--progress", "plain", "-f", "Nowhere", ".")
    assert done.returncode == 1
    assert "Nowhere: no such file or directory" in done.stderr


def test_build_checks_are_told_as_warnings(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox as base\nMAINTAINER me\n"})
    told = client.build(".")
    assert "2 warnings found" in told
    assert "MaintainerDeprecated" in told
    assert "FromAsCasing" in told


def test_secrets_and_agents_reach_the_step_and_no_layer(client: Client) -> None:
    client.write(
        {
            "Dockerfile": "FROM busybox\nRUN --mount=type=secret,id=token,required=true grep -q .ecret-of-a-file /run/secrets/token\n"
            "RUN --mount=type=secret,id=word,env=WORD echo $WORD | grep -q .ecret-of-a-variable\n",
            "token": "secret-of-a-file",
        }
    )
    secrets = ("--secret", "id=token,src=token", "--secret", "id=word,env=SOME_WORD")
    client.build("-t", "buildx:secrets", *secrets, ".", SOME_WORD="secret-of-a-variable")
    client.says("save", "-o", "saved.tar", "buildx:secrets")
    saved = (client.root / "saved.tar").read_bytes()
    assert b"secret-of-a-file" not in saved
    assert b"secret-of-a-variable" not in saved
    done = client.run("build", "--progress", "plain", "--no-cache", ".")
    assert done.returncode == 1
    assert "token" in done.stderr


def test_files_come_from_named_contexts_and_standard_input(client: Client, tmp_path: Path) -> None:
    client.write({"Dockerfile": "FROM busybox\nCOPY --from=extra n.txt /n\nCOPY here.txt /\n", "here.txt": "here"})
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/n.txt").write_text("named")
    client.build("-t", "buildx:named", "--build-context", f"extra={tmp_path}/extra", ".")
    assert client.says("run", "--rm", "--network", "none", "buildx:named", "cat", "/n", "/here.txt") == "namedhere"
    done = client.run("build", "-q", "-f", "-", ".", stdin=b"FROM busybox\nCOPY here.txt /\n")
    assert done.returncode == 0, done.stderr
    packed = tmp_path / "context.tar"
    with tarfile.open(packed, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(client.root, ".")
    done = client.run("build", "-q", "--build-context", f"extra={tmp_path}/extra", "-", stdin=packed.read_bytes())
    assert done.returncode == 0, done.stderr


def test_results_come_back_as_files_and_as_a_tar(client: Client, tmp_path: Path) -> None:
    client.write(
        {
            "Dockerfile": "FROM busybox AS work\nRUN mkdir /out && echo x > /out/x\nFROM scratch\nCOPY --from=work /out /\n"
        }
    )
    client.build("--output", "../files", ".")
    assert (tmp_path / "files/x").read_text() == "x\n"
    client.build("--output", "type=tar,dest=../files.tar", ".")
    with tarfile.open(tmp_path / "files.tar") as tar:
        assert "x" in [name.removeprefix("./") for name in tar.getnames()]
    client.build("--output", "type=oci,dest=../layout.tar", "--metadata-file", "../metadata.json", ".")
    with tarfile.open(tmp_path / "layout.tar") as tar:
        assert {"index.json", "oci-layout"} <= {name.removeprefix("./") for name in tar.getnames()}
    assert json.loads((tmp_path / "metadata.json").read_text())["containerimage.digest"].startswith("sha256:")


def test_caches_come_from_and_go_to_the_clients_directory(client: Client, tmp_path: Path) -> None:
    client.write({"Dockerfile": "FROM busybox\nRUN echo cached > /cached\n"})
    client.build("--cache-to", f"type=local,dest={tmp_path}/cache,mode=max", ".")
    assert json.loads((tmp_path / "cache/index.json").read_text())["manifests"]
    client.says("builder", "prune", "--all", "--force")
    assert "\n#6 CACHED" in client.build("--cache-from", f"type=local,src={tmp_path}/cache", ".").replace("#7", "#6")


def test_several_platforms_make_an_index(client: Client) -> None:
    client.write({"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY <<E /arch\n$TARGETARCH\nE\n"})
    client.build(
        "--platform", "linux/amd64,linux/arm64", "-t", "buildx:several", "--metadata-file", "../told.json", "."
    )
    told = json.loads((client.root / "../told.json").read_text())
    assert told["containerimage.descriptor"]["mediaType"] == "application/vnd.oci.image.index.v1+json"


def test_the_second_build_sends_only_what_changed(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\nCOPY . /src\n", "big": "0123456789" * 200_000, "small": "1"})
    assert re.search(r"transferring context: 2\.\d+MB", client.build("."))
    client.write({"small": "2"})
    assert re.search(r"transferring context: \d+B", client.build("."))


def test_copies_of_directories_are_part_of_the_cache(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\nCOPY . /src\n", "file": "x"})
    client.build(".")
    told = client.says("buildx", "du", "--verbose")
    assert "local source for context" in told
    assert "source.local" in told
    client.says("builder", "prune", "--all", "--force")
    assert "local source" not in client.says("buildx", "du", "--verbose")
    client.build(".")


def test_only_what_the_dockerfile_reads_is_sent(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\nCOPY small /\n", "big": "0123456789" * 200_000, "small": "1"})
    assert re.search(r"transferring context: \d+B", client.build("."))


def test_an_interrupt_ends_the_step(client: Client, daemon: Daemon) -> None:
    client.write({"Dockerfile": f"FROM busybox\nRUN echo begun && sleep {NAP}\n"})
    running = subprocess.Popen(
        [client.docker, "build", "--progress", "plain", "."],
        cwd=client.root,
        env=client.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    try:
        assert any("begun" in line and "echo" not in line for line in running.stderr)
        started(f"sleep {NAP}")
        running.send_signal(signal.SIGINT)
        assert "context canceled" in running.stderr.read()
        assert running.wait(LIMIT_S) != 0
    finally:
        running.kill()
        running.wait()
        running.stderr.close()
    ended(f"sleep {NAP}")


def test_a_client_that_vanishes_takes_its_build_along(client: Client) -> None:
    client.write({"Dockerfile": f"FROM busybox\nRUN echo begun && sleep {NAP}\n"})
    running = subprocess.Popen(
        [client.environment["DOCKER_CONFIG"] + "/cli-plugins/docker-buildx", "build", "--progress", "plain", "."],
        cwd=client.root,
        env=client.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    try:
        assert any("begun" in line and "echo" not in line for line in running.stderr)
    finally:
        running.kill()
        running.wait()
        running.stderr.close()
    ended(f"sleep {NAP}")


def test_bake_builds_targets_that_stand_on_each_other(client: Client) -> None:
    client.write(
        {
            "docker-bake.hcl": """
                group "default" { targets = ["app", "other"] }
                target "base" {
                  dockerfile-inline = "FROM busybox\\nRUN echo base > /base"
                }
                target "app" {
                  dockerfile-inline = "FROM base\\nCOPY a.txt /a\\nCMD cat /base /a"
                  contexts = { base = "target:base" }
                  tags = ["bake:app"]
                }
                target "other" {
                  dockerfile-inline = "FROM busybox\\nCOPY a.txt /a"
                  tags = ["bake:other"]
                }
            """,
            "a.txt": "app\n",
        }
    )
    done = client.run("buildx", "bake", "--progress", "plain")
    assert done.returncode == 0, done.stderr
    assert client.says("run", "--rm", "--network", "none", "bake:app") == "base\napp\n"
    assert client.says("image", "inspect", "-f", "{{.Id}}", "bake:other")


def test_compose_builds_its_services(client: Client) -> None:
    client.write(
        {
            "compose.yaml": """
                services:
                  one:
                    build: {context: ., args: {WORD: composed}}
                    image: compose:one
                  two:
                    build: {dockerfile_inline: "FROM busybox\\nRUN echo two > /two"}
                    image: compose:two
            """,
            "Dockerfile": "FROM busybox\nARG WORD\nRUN echo $WORD > /word\nCMD cat /word\n",
        }
    )
    done = client.run("compose", "-p", "built", "--progress", "plain", "build")
    assert done.returncode == 0, done.stderr
    assert client.says("run", "--rm", "--network", "none", "compose:one") == "composed\n"
    assert client.says("image", "inspect", "-f", "{{.Id}}", "compose:two")


def test_a_dockerfile_tells_of_itself(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox AS first\nFROM first AS second\nARG WORD=x\n"})
    done = client.run("buildx", "build", "--print", "targets", ".", BUILDX_EXPERIMENTAL="1")
    assert done.returncode == 0, done.stderr
    assert "first" in done.stdout
    assert "second (default)" in done.stdout
    done = client.run("buildx", "build", "--print", "outline,format=json", ".", BUILDX_EXPERIMENTAL="1")
    assert "WORD" in done.stdout, done.stderr


def test_triggers_of_the_base_image_read_the_whole_context(client: Client) -> None:
    client.write({"Dockerfile": "FROM busybox\nONBUILD COPY a.txt /a\n", "a.txt": "triggered\n"})
    client.build("-t", "buildx:trigger", ".")
    client.write({"Dockerfile": "FROM buildx:trigger\nCMD cat /a\n"})
    client.build("-t", "buildx:triggered", ".")
    assert client.says("run", "--rm", "--network", "none", "buildx:triggered") == "triggered\n"


def test_images_are_pulled_and_pushed_with_the_clients_credentials(client: Client, tmp_path: Path) -> None:
    with registry(tmp_path / "registry", auth="htpasswd") as running:
        client.write({"Dockerfile": "FROM busybox\nRUN echo pushed > /pushed\n"})
        name = running.name("app:1")
        done = client.run("build", "-t", name, "--push", ".")
        assert done.returncode == 1
        word = base64.b64encode(f"{running.username}:{running.password}".encode()).decode()
        config = Path(client.environment["DOCKER_CONFIG"]) / "config.json"
        config.write_text(json.dumps({"auths": {running.host: {"auth": word}}}))
        client.build("-t", name, "--push", ".")
        client.run("rmi", name)
        client.write({"Dockerfile": f"FROM {name}\nCMD cat /pushed\n"})
        client.build("-t", "buildx:pulled", ".")
        assert client.says("run", "--rm", "--network", "none", "buildx:pulled") == "pushed\n"


def test_tokens_are_fetched_by_the_client_unless_it_has_that_turned_off(
    client: Client, daemon: Daemon, tmp_path: Path
) -> None:
    with registry(tmp_path / "registry", auth="token") as running:
        assert running.tokens is not None
        running.tokens.anonymous = False
        name, sdk = running.name("base:1"), daemon.client()
        sdk.images.get("busybox").tag(name)
        account = {"username": running.username, "password": running.password}
        assert "error" not in sdk.images.push(name, auth_config=account)
        sdk.close()
        word = base64.b64encode(f"{running.username}:{running.password}".encode()).decode()
        config = Path(client.environment["DOCKER_CONFIG"]) / "config.json"
        config.write_text(json.dumps({"auths": {running.host: {"auth": word}}}))
        client.write({"Dockerfile": f"FROM {name}\nRUN true\n"})

        def askers(**environment: str) -> set[str]:
            client.says("rmi", "-f", name)
            before = len(running.tokens.requests)  # type: ignore[union-attr]
            client.build(".", **environment)
            later = running.tokens.requests[before:]  # type: ignore[union-attr]
            return {one.headers["User-Agent"].partition("/")[0] for one in later}

        assert askers(BUILDKIT_NO_CLIENT_TOKEN="1") == {"dockwright"}
        found = askers()
        assert found
        assert "dockwright" not in found
        client.run("rmi", "-f", name)


def test_caches_in_directories_registries_and_images(client: Client, tmp_path: Path) -> None:
    client.write({"Dockerfile": "FROM busybox\nCOPY a /a\nRUN cat /proc/sys/kernel/random/uuid > /id\n", "a": "A"})
    with registry(tmp_path) as running:
        kept, inside = f"type=registry,ref={running.name('cache:1')}", running.name("app:1")
        places = {
            "type=local,dest=cache,mode=max": "type=local,src=cache",
            f"{kept},mode=max,image-manifest=false": kept,
            "type=inline": f"type=registry,ref={inside}",
        }
        client.run("builder", "prune", "-af")
        push = ("-t", inside, "--push")
        client.build("--no-cache", *(part for place in places for part in ("--cache-to", place)), *push, ".")
        for place in places.values():
            client.run("builder", "prune", "-af")
            said = client.build("--cache-from", place, ".")
            assert said.count("importing sha256:") >= 2, said
            assert said.count("CACHED") == 2
        client.run("rmi", "-f", inside)


def test_an_image_is_attested_as_docker_does_by_default_and_more(client: Client, daemon: Daemon) -> None:
    client.write({"Dockerfile": "FROM busybox\nRUN echo x > /x\n"})
    client.build("-t", "attested:1", ".")
    client.build("-t", "attested:2", "--provenance", "false", ".")
    client.build("-t", "attested:3", "--provenance", "mode=max", "--metadata-file", "told.json", ".")
    sdk = daemon.client()
    shown = [sdk.images.get(f"attested:{number}").attrs for number in (1, 2, 3)]
    assert ["index" in one["Descriptor"]["mediaType"] for one in shown] == [True, False, True]
    told = json.loads((client.root / "told.json").read_text())
    assert told["containerimage.digest"] == shown[2]["Id"]
    listed = sdk.api.get(sdk.api.base_url + "/images/json", params={"manifests": "1"}).json()
    sdk.close()
    (one,) = [image for image in listed if image["Id"] == shown[2]["Id"]]
    assert [manifest["Kind"] for manifest in one["Manifests"]] == ["image", "attestation"]
    assert client.says("run", "--rm", "attested:3", "cat", "/x") == "x\n"
    done = client.run("build", "--sbom", "true", ".")
    assert "docker/buildkit-syft-scanner:stable-1 cannot be had" in done.stderr
    client.run("rmi", "-f", *(f"attested:{number}" for number in (1, 2, 3)))


def test_layouts_go_into_directories_and_several_platforms_into_one_index(client: Client, tmp_path: Path) -> None:
    client.write({"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY a /$TARGETARCH\n", "a": "A"})
    both = ("--platform", "linux/amd64,linux/arm64")
    client.build("-o", "type=oci,dest=layout,tar=false", "--provenance", "false", *both, ".")
    (index,) = json.loads((client.root / "layout/index.json").read_text())["manifests"]
    named = json.loads((client.root / "layout/blobs/sha256" / index["digest"][7:]).read_text())
    assert [one["platform"]["architecture"] for one in named["manifests"]] == ["amd64", "arm64"]
    client.build("-o", "files", "--provenance", "false", *both, ".")
    assert sorted(str(path.relative_to(client.root / "files")) for path in client.root.rglob("files/*/*")) == [
        "linux_amd64/amd64",
        "linux_arm64/arm64",
    ]
    with registry(tmp_path) as running:
        name = running.name("both:1")
        client.build("-t", name, "--push", *both, ".")
        shown = client.says("buildx", "imagetools", "inspect", name)
        assert "linux/arm64" in shown
        assert "attestation-manifest" in shown
        client.run("rmi", "-f", name)
