"""Pull, push, login, search and the two paths of our own, as HTTP: statuses, streams, and what clients may send."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.wire import Api, connected
from tests.archives import files
from tests.registries import Registry, registry
from tests.webserver import Between, Exchange, WebServer

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def plain(scratch: Path) -> Iterator[Registry]:
    with registry(scratch / "api-plain") as running:
        yield running


@pytest.fixture(scope="module")
def locked(scratch: Path) -> Iterator[Registry]:
    with registry(scratch / "api-locked", auth="htpasswd") as running:
        yield running


def who(username: str, password: str) -> dict[str, str]:
    """The header that says who we are."""
    raw = json.dumps({"username": username, "password": password}).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(raw).decode()}


@pytest.fixture
def pushed(api: Api, plain: Registry, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name, without its tag, of an image that is in the registry under the tag 1 and not here."""
    name = plain.name(f"t{abs(hash(request.node.nodeid)) % 10**8}")
    api.ok("POST", f"/images/busybox/tag?repo={name}&tag=1")
    messages = api.ok("POST", f"/images/{name}/push?tag=1").lines
    assert "aux" in messages[-1], messages
    api.ok("DELETE", f"/images/{name}:1")
    yield name
    for entry in api.ok("GET", "/images/json").json:
        for tag in entry["RepoTags"]:
            if tag.startswith(name):
                api("DELETE", f"/images/{tag}?force=1")


def statuses(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get("status", "") for message in messages]


def test_a_pull_tells_what_docker_tells(api: Api, pushed: str) -> None:
    answer = api.ok("POST", f"/images/create?fromImage={pushed}&tag=1")
    assert answer.headers["Content-Type"] == "application/json"
    first, *_, digest, last = answer.lines
    assert (first["id"], first["status"]) == ("1", f"Pulling from {pushed.partition('/')[2]}")
    assert digest["status"].startswith("Digest: sha256:")
    assert last["status"].endswith(f" for {pushed}:1")
    assert api("GET", f"/images/{pushed}:1/json").status == 200


def test_a_push_ends_with_tag_digest_and_size(api: Api, pushed: str) -> None:
    api.ok("POST", f"/images/create?fromImage={pushed}:1")
    messages = api.ok("POST", f"/images/{pushed}/push?tag=1").lines
    assert messages[0]["status"] == f"The push refers to repository [{pushed}]"
    said = next(line for line in statuses(messages) if line.startswith("1: digest: "))
    digest = api.ok("GET", f"/images/{pushed}:1/json").json["Descriptor"]["digest"]
    assert said.startswith(f"1: digest: {digest} size: ")
    aux = messages[-1]["aux"]
    assert (aux["Tag"], aux["Digest"]) == ("1", digest)


def test_an_image_is_pulled_by_its_digest(api: Api, pushed: str) -> None:
    digest = api.ok("GET", f"/distribution/{pushed}:1/json").json["Descriptor"]["digest"]
    api.ok("POST", f"/images/create?fromImage={pushed}&tag={digest}")
    assert api.ok("GET", f"/images/{pushed}@{digest}/json").json["Id"] == digest


def test_no_tag_pulls_all_of_them(api: Api, pushed: str) -> None:
    api.ok("POST", f"/images/busybox/tag?repo={pushed}&tag=2")
    api.ok("POST", f"/images/{pushed}/push?tag=2")
    api.ok("DELETE", f"/images/{pushed}:2")
    api.ok("POST", f"/images/create?fromImage={pushed}")
    assert [api("GET", f"/images/{pushed}:{tag}/json").status for tag in "12"] == [200, 200]


def test_no_tag_pushes_all_of_them(api: Api, plain: Registry, pushed: str) -> None:
    for tag in ("a", "b"):
        api.ok("POST", f"/images/busybox/tag?repo={pushed}&tag={tag}")
    api.ok("POST", f"/images/{pushed}/push")
    for tag in ("a", "b"):
        assert api("GET", f"/distribution/{pushed}:{tag}/json").status == 200


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("/images/create?fromImage={host}/none&tag=1", 404, "manifest for {host}/none:1 not found"),
        ("/images/create?fromImage={host}/none:9", 404, "not found"),
        ("/images/create?fromImage={host}/none", 404, "none"),
        ("/images/create?fromImage=UPPER", 400, "must be lowercase"),
        ("/images/create?fromImage=a%20b", 400, "invalid reference format"),
        ("/images/create?fromImage={host}/x&tag=%2e%2e%2fx", 400, "invalid tag format"),
        ("/images/create?fromImage={host}/x&tag=sha256:short", 400, "digest"),
        ("/images/create?fromImage={host}/x&tag=1&platform=linux/a/b/c", 400, "platform"),
        ("/images/create?fromImage={host}/x&tag=1&platform=%7B", 400, "platform"),
        ("/images/create?fromImage={host}/x&tag=1&platform=%7B%22os%22:1%7D", 400, "platform"),
        ("/images/create?fromImage={host}/x&tag=1&platform=%7B%22os%22:%22linux%22%7D", 400, "architecture"),
        ("/images/create?fromImage={host}/x&tag=1&platform=linux&platform=windows", 400, "multiple platform"),
        ("/images/create", 400, "fromImage"),
        ("/images/create?fromImage=127.0.0.1:1/x&tag=1", 503, "127.0.0.1:1"),
        ("/images/{host}/none/push?tag=1", 404, "An image does not exist locally with the tag: {host}/none"),
        ("/images/{host}/none/push", 404, "An image does not exist locally"),
        ("/images/UPPER/push?tag=1", 400, "must be lowercase"),
    ],
)
def test_what_cannot_be_has_a_status_from_the_start(
    api: Api, plain: Registry, target: str, status: int, words: str
) -> None:
    answer = api("POST", target.replace("{host}", plain.host))
    if answer.status == 200:  # told on the way, as by Docker
        assert words.replace("{host}", plain.host) in answer.lines[-1]["error"]
        return
    assert answer.status == status, answer.body
    assert words.replace("{host}", plain.host) in answer.message


@pytest.mark.parametrize(
    "header",
    [
        "garbage",
        "%%%",
        "e30",
        "bnVsbA==",
        "W10=",
        "eyJ1c2VybmFtZSI6NX0=",
        "A" * 70_000,
        "eyJhdXRoIjoieCJ9",
        "=",
        "\xe9",
    ],
)
@pytest.mark.parametrize("target", ["/images/create?fromImage={name}&tag=1", "/images/{name}/push?tag=1"])
def test_any_header_of_credentials_is_understood_or_refused(api: Api, pushed: str, header: str, target: str) -> None:
    api.ok("POST", f"/images/create?fromImage={pushed}&tag=1")
    answer = api("POST", target.format(name=pushed), headers={"X-Registry-Auth": header})
    if header in ("e30", "bnVsbA==", "="):
        assert answer.status == 200
    else:
        assert answer.status == 400
        assert "X-Registry-Auth" in answer.message
    assert "eyJ" not in answer.body.decode()


def test_who_may_not_is_told_so_and_who_may_does(api: Api, locked: Registry) -> None:
    name = locked.name("private/tool")
    api.ok("POST", f"/images/busybox/tag?repo={name}&tag=1")
    try:
        for headers in ({}, who(locked.username, "wrong")):
            messages = api("POST", f"/images/{name}/push?tag=1", headers=headers)
            assert messages.status == 500 or "error" in messages.lines[-1]
        own = who(locked.username, locked.password)
        assert "aux" in api.ok("POST", f"/images/{name}/push?tag=1", headers=own).lines[-1]
        # As clients of the first API versions send it.
        body = {"username": locked.username, "password": locked.password}
        assert "aux" in api.ok("POST", f"/images/{name}/push?tag=1", body).lines[-1]
        # Never 401: Docker's client would ask for a password then, and wait for it.
        assert api("POST", f"/images/create?fromImage={name}&tag=1").status == 500
        assert api("GET", f"/distribution/{name}:1/json").status == 401
        assert api.ok("GET", f"/distribution/{name}:1/json", headers=own).json["Platforms"][0]["os"] == "linux"
        api.ok("POST", f"/images/create?fromImage={name}&tag=1", headers=own)
    finally:
        api.ok("DELETE", f"/images/{name}:1")


def test_a_login_is_held_against_the_registry(api: Api, locked: Registry) -> None:
    body = {"username": locked.username, "password": locked.password, "serveraddress": locked.host}
    assert api.ok("POST", "/auth", body).json == {"Status": "Login Succeeded", "IdentityToken": ""}
    assert api.ok("POST", "/auth", body | {"serveraddress": f"http://{locked.host}/v2/"}).status == 200
    refused = api("POST", "/auth", body | {"password": "wrong"})
    assert refused.status == 401
    assert "wrong" not in refused.message


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b'{"username": 5}', b'{"serveraddress": []}', b'{"auth": "x", "serveraddress": "x"}'],
)
def test_a_login_that_is_none_is_refused(api: Api, body: bytes) -> None:
    assert api("POST", "/auth", body, headers={"Content-Type": "application/json"}).status == 400


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "term"),
        ("term=x&limit=101", "limit"),
        ("term=x&limit=-1", "limit"),
        ("term=x&limit=many", "limit"),
        ("term=http://x/y", "scheme"),
        ("term=x&filters=%7B%22nope%22:[%22a%22]%7D", "nope"),
        ("term=x&filters=%7B%22stars%22:[%22many%22]%7D", "stars"),
        ("term=x&filters=%7B%22is-official%22:[%22perhaps%22]%7D", "is-official"),
        ("term=x&filters=5", "filter"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(api: Api, query: str, words: str) -> None:
    answer = api("GET", f"/images/search?{query}")
    assert answer.status == 400
    assert words in answer.message


def test_filters_of_a_search_are_honoured(api: Api, plain: Registry, pushed: str) -> None:
    def found(filters: dict[str, list[str]]) -> list[str]:
        query = {"term": pushed, "filters": filters}
        return [one["name"] for one in api.ok("GET", "/images/search", query=query).json]

    assert found({}) == found({"is-official": ["false"]}) == found({"stars": ["0"]}) == [pushed]
    assert found({"is-official": ["true"]}) == found({"stars": ["1"]}) == []


def test_a_registry_in_the_way_is_told_with_its_status(api: Api, plain: Registry, pushed: str) -> None:
    path = pushed.partition("/")[2]
    with Between(plain.host) as between:
        between.misbehave("GET .*/manifests/", lambda exchange: exchange.send(403, body=b"{}"), times=50)
        between.misbehave("HEAD .*/manifests/", lambda exchange: exchange.send(403), times=50)
        answer = api("POST", f"/images/create?fromImage={between.host}/{path}&tag=1")
        assert answer.status == 404, answer.body


def test_a_failure_in_the_middle_is_the_last_line_of_the_stream(api: Api, plain: Registry, pushed: str) -> None:
    """Of a layer that cannot be had; the image must not be here, or nothing is fetched."""
    path = pushed.partition("/")[2]
    image = api.ok("POST", "/images/create?fromSrc=-&repo=lone&tag=1", files({"lone": pushed})).lines[-1]["status"]
    api.ok("POST", f"/images/lone:1/tag?repo={pushed}&tag=lone")
    api.ok("POST", f"/images/{pushed}/push?tag=lone")
    api.ok("DELETE", f"/images/{image}?force=1")
    with Between(plain.host) as between:

        def lie(exchange: Exchange) -> None:
            found = between.forward(exchange)
            if b"rootfs" not in found.body:  # the configuration goes through, the layer is another
                found.body = bytes(len(found.body))
            between.reply(exchange, found)

        between.misbehave("GET .*/blobs/", lie, times=50)
        answer = api("POST", f"/images/create?fromImage={between.host}/{path}&tag=lone")
    assert answer.status == 200
    last = answer.lines[-1]
    assert last["error"] == last["errorDetail"]["message"]
    assert api("GET", f"/images/{between.host}/{path}:lone/json").status == 404


def test_a_client_that_goes_away_ends_its_pull(api: Api, plain: Registry, pushed: str) -> None:
    path = pushed.partition("/")[2]
    image = api.ok("POST", "/images/create?fromSrc=-&repo=slow&tag=1", files({"slow": pushed})).lines[-1]["status"]
    api.ok("POST", f"/images/slow:1/tag?repo={pushed}&tag=slow")
    api.ok("POST", f"/images/{pushed}/push?tag=slow")
    api.ok("DELETE", f"/images/{image}?force=1")
    asked, gone = threading.Event(), threading.Event()
    with Between(plain.host) as between:

        def stall(exchange: Exchange) -> None:
            found = between.forward(exchange)
            if b"rootfs" in found.body:
                between.reply(exchange, found)
                return
            exchange.head(found.status, found.headers)
            asked.set()
            try:  # the daemon hangs up: nothing more comes from it, ever
                if exchange._handler.connection.recv(1) == b"":
                    gone.set()
            except OSError:
                gone.set()

        between.misbehave("GET .*/blobs/", stall, times=50)
        with connected(api.path) as sock:
            target = f"/images/create?fromImage={quote(between.host)}/{path}&tag=slow"
            sock.sendall(f"POST {target} HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n".encode())
            assert asked.wait(30)
        assert gone.wait(30)
    assert api("GET", f"/images/{between.host}/{path}:slow/json").status == 404


def test_an_archive_is_fetched_from_an_address(api: Api) -> None:
    def serve(exchange: Exchange) -> None:
        if exchange.path == "/root.tar":
            exchange.send(200, body=files({"hello": "from afar"}))
        else:
            exchange.send(404)

    with WebServer(serve) as server:
        query = f"fromSrc={quote(server.url, '')}/root.tar&repo=fetched&tag=1&changes=ENV%20A=b"
        messages = api.ok("POST", f"/images/create?{query}").lines
        assert messages[0]["status"] == f"Downloading from {server.url}/root.tar"
        image = messages[-1]["status"]
        found = api.ok("GET", "/images/fetched:1/json").json
        assert (found["Id"], found["Config"]["Env"]) == (image, ["A=b"])
        assert found["Comment"] == f"Imported from {server.url}/root.tar"
        api.ok("DELETE", "/images/fetched:1")
        # An address without a scheme is one all the same.
        bare = api.ok("POST", f"/images/create?fromSrc={server.host}/root.tar")
        api.ok("DELETE", f"/images/{bare.lines[-1]['status']}")
        missing = api("POST", f"/images/create?fromSrc={server.url}/none")
        assert (missing.status, "404" in missing.message) == (404, True)
    assert api("POST", f"/images/create?fromSrc={server.url}/root.tar").status == 503


@pytest.mark.parametrize(
    "source", ["file:///etc/passwd", "ftp://x/y", "http://", "unix:///x", "http://[::1", "http://x:y/"]
)
def test_nothing_but_http_is_fetched(api: Api, source: str) -> None:
    answer = api("POST", f"/images/create?fromSrc={quote(source, '')}")
    assert answer.status == 400
    assert "http" in answer.message


def test_a_password_in_an_address_is_not_told(api: Api) -> None:
    answer = api("POST", "/images/create?fromSrc=" + quote("http://me:hush@127.0.0.1:1/x?token=hush", ""))
    assert answer.status == 503
    assert "hush" not in answer.message


def test_two_images_are_compared(api: Api) -> None:
    names = ("compare:a", "compare:b")
    contents = ({"same": "s", "changed": "1", "gone": "g"}, {"same": "s", "changed": "22", "new": "n"})
    for name, content in zip(names, contents, strict=True):
        repository, tag = name.split(":")
        api.ok("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}", files(content))
    try:
        found = api.ok("GET", "/images/compare:a/compare?with=compare:b").json
        assert {(one["Kind"], one["Path"]) for one in found["Files"]} == {
            ("added", "/new"),
            ("changed", "/changed"),
            ("removed", "/gone"),
        }
        assert found["Packages"] == []
        assert api("GET", "/images/compare:a/compare").status == 400
        assert api("GET", "/images/compare:a/compare?with=nope").status == 404
        assert api("GET", "/images/nope/compare?with=compare:a").status == 404
    finally:
        for name in names:
            api("DELETE", f"/images/{name}")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("name=nothing", 400),
        ("name=beos:r5", 400),
        ("name=debian:../x", 400),
        ("name=debian:bookworm&mirror=gopher://x", 400),
        ("name=debian:bookworm&archive-date=yesterday", 400),
        ("name=debian:bookworm&package=--evil", 400),
        ("name=debian:bookworm&tag=UPPER", 400),
    ],
)
def test_a_bootstrap_that_makes_no_sense_is_refused_before_anything_is_fetched(
    api: Api, query: str, status: int
) -> None:
    assert api("POST", f"/images/bootstrap?{query}").status == status


def test_intermediate_images_are_listed_when_asked_for(api: Api) -> None:
    below = api.ok("POST", "/images/create?fromSrc=-", files({"a": "1"})).lines[-1]["status"]
    made = api.ok("POST", "/containers/create", {"Image": below, "Cmd": ["x"]}).json["Id"]
    above = api.ok("POST", f"/commit?container={made}&repo=above&tag=1").json["Id"]
    api.remove(made)

    def listed(query: str) -> set[str]:
        return {entry["Id"] for entry in api.ok("GET", f"/images/json{query}").json}

    try:
        assert {below, above} <= listed("?all=1")
        assert listed("") & {below, above} == {above}
    finally:
        api.ok("DELETE", "/images/above:1")
        api("DELETE", f"/images/{below}")


def test_stop_restart_and_kill_say_what_could_not_be_done(api: Api) -> None:
    container = api.run("sleep", "1000")
    for verb, words in (
        ("stop?signal=NOPE", f"cannot stop container: {container}: "),
        ("restart?signal=NOPE", f"Cannot restart container {container}: "),
        ("kill?signal=NOPE", f"cannot kill container: {container}: "),
    ):
        answer = api("POST", f"/containers/{container}/{verb}")
        assert answer.status == 400
        assert answer.message.startswith(words)
    assert api("POST", "/containers/none/stop").message == "No such container: none"
    assert api("POST", "/containers/none/kill").message == "cannot kill container: none: No such container: none"


def test_a_checkpoint_is_refused_and_the_container_not_started(api: Api) -> None:
    container = api.create("sleep", "1000")
    for query in ("checkpoint=x", "checkpoint-dir=/tmp"):
        answer = api("POST", f"/containers/{container}/start?{query}")
        assert answer.status == 501
        assert "checkpoint" in answer.message
    assert api.ok("GET", f"/containers/{container}/json").json["State"]["Status"] == "created"


def test_the_build_cache_is_empty_and_says_so(api: Api) -> None:
    query = {"filters": {"until": ["24h"]}}
    assert api.ok("POST", "/build/prune", query=query).json == {"CachesDeleted": [], "SpaceReclaimed": 0}
    assert api("POST", "/build/prune?filters=%7B%22nope%22:[%22x%22]%7D").status == 400
    assert api("POST", "/build/prune?keep-storage=much").status == 400


def test_inspect_leaves_out_what_docker_leaves_out(api: Api) -> None:
    found = api.ok("GET", f"/containers/{api.create()}/json").json
    left_out = {"ExposedPorts", "Healthcheck", "ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal", "Shell"}
    assert not left_out & set(found["Config"])
    assert not {"Mounts", "Tmpfs", "Sysctls", "StorageOpt", "Init", "Annotations"} & set(found["HostConfig"])
    assert {"Entrypoint", "OnBuild", "Volumes", "Labels"} <= set(found["Config"])
    said = api.create(StopTimeout=0, Healthcheck={"Test": ["NONE"]}, HostConfig={"Init": False})
    found = api.ok("GET", f"/containers/{said}/json").json
    assert (found["Config"]["StopTimeout"], found["HostConfig"]["Init"]) == (0, False)
    assert found["Config"]["Healthcheck"] == {"Test": ["NONE"]}
