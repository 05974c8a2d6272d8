"""The contract: every path and method of this slice answers by the specification's schema."""

from __future__ import annotations

import base64
import re
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockwright.api.routes import ROUTER
from tests import archives
from tests.api.contract import SPECIFICATION, Contract
from tests.api.wire import Answer, Api, connected
from tests.registries import registry

pytestmark = pytest.mark.root

if not SPECIFICATION.is_file():
    pytest.skip(f"the specification is missing: {SPECIFICATION}", allow_module_level=True)

CONTRACT = Contract()
OPERATIONS = [
    (method, path)
    for method, path, tags in CONTRACT.operations()
    if {"Container", "Exec", "Image", "System", "Distribution", "Volume"} & set(tags) and path != "/build"
]
# Ours alone: `image diff` and `image bootstrap`.
OWN = {
    ("GET", "/images/{}/compare"),
    ("POST", "/images/bootstrap"),
    # Docker's too, though its specification is silent about them.
    ("POST", "/grpc"),
    ("POST", "/build/cancel"),
    ("POST", "/system/reconcile"),
    ("GET", "/volumes/{}/snapshots"),
    ("DELETE", "/volumes/{}/snapshots/{}"),
    ("GET", "/volumes/{}/export"),
    *(("POST", f"/volumes/{{}}/{verb}") for verb in ("snapshots", "restore", "clone", "rename", "import")),
}

Case = Callable[[Api, str], Answer]
CASES: dict[tuple[str, str], Case] = {}
# Where this module's registry listens.
HOST: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def registry_host(scratch: Path) -> Iterator[None]:
    with registry(scratch / "contract-registry") as running:
        HOST.append(running.host)
        yield
        HOST.clear()


def named(repository: str) -> str:
    """An image of this module's registry."""
    return f"{HOST[0]}/{repository}"


def case(method: str, path: str) -> Callable[[Case], Case]:
    def register(function: Case) -> Case:
        CASES[method, path] = function
        return function

    return register


def simple(method: str, path: str, suffix: str = "", body: object = None) -> None:
    """A path with `{id}` of a running container that needs nothing further."""
    CASES[method, path] = lambda api, running: api.ok(method, path.replace("{id}", running) + suffix, body)


def tar(**files: str) -> bytes:
    return archives.files(files)


simple("GET", "/containers/json", "?all=1&size=1")
simple("GET", "/containers/{id}/json", "?size=1")
simple("GET", "/containers/{id}/top")
simple("GET", "/containers/{id}/logs", "?stdout=1&stderr=1&timestamps=1")
simple("GET", "/containers/{id}/export")
simple("GET", "/containers/{id}/stats", "?stream=0")
simple("POST", "/containers/{id}/stop", "?t=0")
simple("POST", "/containers/{id}/restart", "?t=0")
simple("POST", "/containers/{id}/kill")
simple("POST", "/containers/{id}/pause")
simple("POST", "/containers/{id}/rename", "?name=contract-renamed")
simple("POST", "/containers/{id}/update", "", {"Memory": 64 << 20, "MemorySwap": 128 << 20})
simple("DELETE", "/containers/{id}", "?force=1")
simple("GET", "/containers/{id}/archive", "?path=/etc/passwd")
simple("HEAD", "/containers/{id}/archive", "?path=/etc/passwd")
simple("PUT", "/containers/{id}/archive", "?path=/tmp", tar(hello="hello"))
simple("GET", "/images/json", "?all=1&shared-size=1&manifests=1")
simple("GET", "/images/get", "?names=busybox")
simple("GET", "/info")
simple("GET", "/version")
simple("GET", "/_ping")
simple("HEAD", "/_ping")
simple("GET", "/system/df")


@case("POST", "/containers/create")
def create(api: Api, running: str) -> Answer:
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "host", "PortBindings": {"80/tcp": []}}}
    return api.ok("POST", "/containers/create?name=contract-created", body)


@case("GET", "/containers/{id}/changes")
def changes(api: Api, running: str) -> Answer:
    api.ok("PUT", f"/containers/{running}/archive?path=/tmp", tar(hello="hello"))
    return api.ok("GET", f"/containers/{running}/changes")


@case("POST", "/containers/{id}/resize")
def resize(api: Api, running: str) -> Answer:
    return api.ok("POST", f"/containers/{api.run(Tty=True, OpenStdin=True)}/resize?h=30&w=90")


@case("POST", "/containers/{id}/start")
def start(api: Api, running: str) -> Answer:
    return api.ok("POST", f"/containers/{api.create()}/start")


@case("POST", "/containers/{id}/unpause")
def unpause(api: Api, running: str) -> Answer:
    api.ok("POST", f"/containers/{running}/pause")
    return api.ok("POST", f"/containers/{running}/unpause")


@case("POST", "/containers/{id}/attach")
def attach(api: Api, running: str) -> Answer:
    finished = api.run("echo", "hello")
    api.wait(finished)
    return api.ok("POST", f"/containers/{finished}/attach?logs=1&stdout=1")


@case("GET", "/containers/{id}/attach/ws")
def attach_by_websocket(api: Api, running: str) -> Answer:
    """The handshake is answered; what flows afterwards has tests of its own."""
    with connected(api.path) as sock:
        key = base64.b64encode(b"0123456789abcdef").decode()
        sock.sendall(
            f"GET /containers/{running}/attach/ws?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = sock.recv(4096).decode()
    return Answer(int(head.split()[1]), {}, b"")


@case("POST", "/containers/{id}/wait")
def wait(api: Api, running: str) -> Answer:
    return api.ok("POST", f"/containers/{api.run('sh', '-c', 'exit 3')}/wait?condition=not-running")


@case("POST", "/containers/prune")
def prune(api: Api, running: str) -> Answer:
    created = api.create(Labels={"contract": "prune"})
    answer = api.ok("POST", "/containers/prune", query={"filters": {"label": ["contract=prune"]}})
    assert answer.json["ContainersDeleted"] == [created]
    return answer


def exec_in(api: Api, running: str, **config: object) -> str:
    body = {"Cmd": ["sh", "-c", "echo out; sleep 1000"], "AttachStdout": True} | config
    found: str = api.ok("POST", f"/containers/{running}/exec", body).json["Id"]
    return found


@case("POST", "/containers/{id}/exec")
def exec_create(api: Api, running: str) -> Answer:
    return api.ok("POST", f"/containers/{running}/exec", {"Cmd": ["true"], "Env": ["A=b"], "User": "1000"})


@case("POST", "/exec/{id}/start")
def exec_start(api: Api, running: str) -> Answer:
    return api.ok("POST", f"/exec/{exec_in(api, running, Cmd=['echo', 'out'])}/start", {"Detach": False})


@case("POST", "/exec/{id}/resize")
def exec_resize(api: Api, running: str) -> Answer:
    created = exec_in(api, running, Tty=True)
    api.ok("POST", f"/exec/{created}/start", {"Detach": True, "Tty": True})
    return api.ok("POST", f"/exec/{created}/resize?h=20&w=60")


@case("GET", "/exec/{id}/json")
def exec_inspect(api: Api, running: str) -> Answer:
    created = exec_in(api, running)
    api.ok("POST", f"/exec/{created}/start", {"Detach": True})
    return api.ok("GET", f"/exec/{created}/json")


@case("POST", "/images/create")
def image_create(api: Api, running: str) -> Answer:
    return api.ok("POST", "/images/create?fromSrc=-&repo=contract&tag=imported", tar(hello="hello"))


@case("POST", "/images/load")
def image_load(api: Api, running: str) -> Answer:
    image_create(api, running)
    return api.ok("POST", "/images/load", api.ok("GET", "/images/contract:imported/get").body)


@case("GET", "/images/{name}/json")
def image_inspect(api: Api, running: str) -> Answer:
    return api.ok("GET", "/images/busybox/json?manifests=1")


@case("GET", "/images/{name}/history")
def image_history(api: Api, running: str) -> Answer:
    return api.ok("GET", "/images/busybox/history")


@case("POST", "/images/{name}/tag")
def image_tag(api: Api, running: str) -> Answer:
    return api.ok("POST", "/images/busybox/tag?repo=contract&tag=tagged")


@case("GET", "/images/{name}/get")
def image_save(api: Api, running: str) -> Answer:
    return api.ok("GET", "/images/busybox:latest/get")


@case("DELETE", "/images/{name}")
def image_remove(api: Api, running: str) -> Answer:
    image_create(api, running)
    return api.ok("DELETE", "/images/contract:imported")


@case("POST", "/images/prune")
def image_prune(api: Api, running: str) -> Answer:
    image_create(api, running)
    return api.ok("POST", "/images/prune", query={"filters": {"dangling": ["false"], "label": ["no-such=label"]}})


@case("POST", "/commit")
def commit(api: Api, running: str) -> Answer:
    return api.ok(
        "POST", f"/commit?container={running}&repo=contract&tag=committed&author=me&changes=ENV%20A=b", {"User": "app"}
    )


@case("POST", "/images/{name}/push")
def image_push(api: Api, running: str) -> Answer:
    api.ok("POST", f"/images/busybox/tag?repo={named('contract')}&tag=pushed")
    return api.ok("POST", f"/images/{named('contract')}/push?tag=pushed")


@case("GET", "/distribution/{name}/json")
def distribution(api: Api, running: str) -> Answer:
    image_push(api, running)
    return api.ok("GET", f"/distribution/{named('contract')}:pushed/json")


@case("GET", "/images/search")
def search(api: Api, running: str) -> Answer:
    image_push(api, running)
    answer = api.ok("GET", f"/images/search?term={named('contr')}&limit=5")
    assert [found["name"] for found in answer.json] == [named("contract")]
    return answer


@case("POST", "/auth")
def auth(api: Api, running: str) -> Answer:
    body = {"username": "anyone", "password": "any", "serveraddress": HOST[0]}
    return api.ok("POST", "/auth", body)


@case("POST", "/build/prune")
def build_prune(api: Api, running: str) -> Answer:
    return api.ok("POST", "/build/prune?all=1&keep-storage=5")


@case("GET", "/events")
def events(api: Api, running: str) -> Answer:
    now = time.time()
    answer = api.ok("GET", f"/events?since={now - 3600:.3f}&until={now:.3f}")
    assert answer.lines
    return answer


def volume(api: Api) -> str:
    """A volume with everything on it that inspect can show; removed with what a test leaves."""
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    body = {"Name": "contract-volume", "Driver": "local", "DriverOpts": options, "Labels": {"a": "b"}}
    return str(api.ok("POST", "/volumes/create", body).json["Name"])


@case("POST", "/volumes/create")
def volume_create(api: Api, running: str) -> Answer:
    volume(api)
    return api.ok("POST", "/volumes/create", {"Name": "contract-volume"})


@case("GET", "/volumes")
def volume_list(api: Api, running: str) -> Answer:
    volume(api)
    return api.ok("GET", "/volumes")


@case("GET", "/volumes/{name}")
def volume_inspect(api: Api, running: str) -> Answer:
    return api.ok("GET", f"/volumes/{volume(api)}")


@case("PUT", "/volumes/{name}")
def volume_update(api: Api, running: str) -> Answer:
    return api("PUT", f"/volumes/{volume(api)}?version=1", {"Spec": {}})


@case("DELETE", "/volumes/{name}")
def volume_remove(api: Api, running: str) -> Answer:
    return api.ok("DELETE", f"/volumes/{volume(api)}")


@case("POST", "/volumes/prune")
def volume_prune(api: Api, running: str) -> Answer:
    name = api.ok("POST", "/volumes/create", {"Labels": {"contract": "prune"}}).json["Name"]
    answer = api.ok("POST", "/volumes/prune", query={"filters": {"label": ["contract=prune"]}})
    assert answer.json["VolumesDeleted"] == [name]
    return answer


@pytest.fixture
def running(api: Api) -> Iterator[str]:
    """A running container with everything on it that inspect can show."""
    yield api.run(
        "sleep",
        "1000",
        Env=["A=b"],
        Labels={"a": "b"},
        ExposedPorts={"80/tcp": {}},
        Volumes={"/data": {}},
        Healthcheck={"Test": ["CMD", "true"], "Interval": 10**9, "StartInterval": 10**9},
        HostConfig={
            "NetworkMode": "bridge",
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
            "Tmpfs": {"/scratch": "size=1m"},
            "Binds": ["/tmp:/host-tmp:ro"],
            "Mounts": [{"Type": "tmpfs", "Target": "/mounted", "TmpfsOptions": {"SizeBytes": 1 << 20}}],
            "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
            "Annotations": {"a": "b"},
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
            "Memory": 256 << 20,
        },
    )
    api("DELETE", "/volumes/contract-volume?force=1")
    for image in ("contract:imported", "contract:tagged", "contract:committed", f"{named('contract')}:pushed"):
        api("DELETE", f"/images/{image}")


def documents(answer: Answer, path: str) -> list[object]:
    return answer.lines if path == "/events" else [answer.json]


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{m} {p}" for m, p in OPERATIONS])
def test_every_operation_answers_by_its_schema(api: Api, running: str, method: str, path: str) -> None:
    answer = CASES[method, path](api, running)
    assert answer.status in CONTRACT.responses(method, path), f"status {answer.status} is not in the specification"
    schema = CONTRACT.schema(method, path, answer.status)
    kinds = CONTRACT.document["paths"][path][method.lower()].get("produces", ["application/json"])
    if schema is None or answer.status == 101 or method == "HEAD":
        return
    if schema.get("type") == "string" or "application/json" not in kinds:
        return
    assert answer.headers["Content-Type"].startswith("application/json")
    for document in documents(answer, path):
        CONTRACT.check(document, schema)


QUERIES = {
    "/containers/{id}/logs": "?stdout=1",
    "/containers/{id}/resize": "?h=1&w=1",
    "/containers/{id}/archive": "?path=/",
    "/containers/{id}/rename": "?name=other",
    "/exec/{id}/resize": "?h=1&w=1",
    "/images/{name}/tag": "?repo=other",
}
BODIES = {
    "/containers/{id}/exec": {"Cmd": ["true"]},
    "/exec/{id}/start": {},
    "/containers/{id}/update": {},
    "/volumes/{name}": {"Spec": {}},
    "/containers/{id}/archive": b"",
}
NAMED = [
    (method, path)
    for method, path in OPERATIONS
    if "{" in path and path not in ("/images/{name}/get", "/images/{name}/push", "/distribution/{name}/json")
]


@pytest.mark.parametrize(("method", "path"), NAMED, ids=[f"{m} {p}" for m, p in NAMED])
def test_every_operation_on_something_that_does_not_exist_answers_404(api: Api, method: str, path: str) -> None:
    target = re.sub(r"\{\w+\}", "no-such-thing", path) + QUERIES.get(path, "")
    answer = api(method, target, BODIES.get(path) if method in ("POST", "PUT") else None)
    assert answer.status == 404
    if method != "HEAD":
        assert "o such" in answer.message


def test_every_implemented_route_is_in_the_specification() -> None:
    specified = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path, _ in CONTRACT.operations()}
    implemented = {(route.method, re.sub(r"\{\w+(:path)?\}", "{}", route.pattern)) for route in ROUTER.routes}
    assert implemented - specified == OWN


def test_every_operation_of_this_slice_is_implemented() -> None:
    implemented = {(route.method, re.sub(r"\{\w+(:path)?\}", "{}", route.pattern)) for route in ROUTER.routes}
    assert {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in OPERATIONS} - implemented == set()
    assert set(OPERATIONS) == set(CASES)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nonsense", 404),
        ("GET", "/", 404),
        ("GET", "/containers", 404),
        ("GET", "/containers/json/more", 404),
        ("GET", "/v1.51", 404),
        ("GET", "/v1.51/nonsense", 404),
        ("GET", "/v1.x/info", 404),
        ("DELETE", "/containers/json", 404),
        ("PUT", "/info", 405),
        ("PATCH", "/containers/x/json", 405),
        ("GET", "/containers/create", 405),
        ("POST", "/version", 405),
        ("TRACE", "/_ping", 405),
    ],
)
def test_an_unknown_path_or_method_is_refused(api: Api, method: str, path: str, status: int) -> None:
    answer = api(method, path)
    assert answer.status == status
    assert answer.message


def test_every_answer_names_the_version_and_the_server(api: Api) -> None:
    for path in ("/_ping", "/info", "/nonsense", "/containers/none/json"):
        headers = api("GET", path).headers
        assert headers["Api-Version"] == "1.51"
        assert headers["Ostype"] == "linux"
        assert headers["Docker-Experimental"] == "false"
        assert headers["Server"].startswith("Dockwright/")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.52", "client version 1.52 is too new. Maximum supported API version is 1.51"),
        ("2.0", "client version 2.0 is too new. Maximum supported API version is 1.51"),
        (
            "1.23",
            "client version 1.23 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
    ],
)
def test_a_version_that_is_not_spoken_is_refused_with_dockers_words(api: Api, version: str, words: str) -> None:
    answer = api("GET", f"/v{version}/info")
    assert (answer.status, answer.message) == (400, words)


def test_every_version_from_1_24_to_1_51_and_none_is_spoken(api: Api) -> None:
    container = api.create()
    for prefix in ["", *(f"/v1.{minor}" for minor in range(24, 52))]:
        for path in ("/_ping", "/version", "/info", f"/containers/{container}/json", "/containers/json?all=1"):
            assert api("GET", prefix + path).status == 200, prefix + path


# Field, the version that brought it, and where it is seen (docs/api/version-history of moby).
NEWER = [
    ("ImageManifestDescriptor", 48, "/containers/{id}/json"),
    ("Annotations", 43, "/containers/{id}/json"),
    ("StartInterval", 44, "/containers/{id}/json"),
    ("GwPriority", 48, "/containers/{id}/json"),
    ("DNSNames", 44, "/containers/{id}/json"),
    ("CgroupnsMode", 40, "/containers/{id}/json"),
    ("DeviceRequests", 40, "/containers/{id}/json"),
    ("ImageManifestDescriptor", 48, "/containers/json"),
    ("Annotations", 46, "/containers/json"),
    ("CgroupVersion", 41, "/info"),
    ("CDISpecDirs", 44, "/info"),
    ("FirewallBackend", 49, "/info"),
    ("DiscoveredDevices", 50, "/info"),
    ("Descriptor", 48, "/images/busybox/json"),
    ("Descriptor", 48, "/images/json"),
]


def fields(document: object) -> set[str]:
    if isinstance(document, dict):
        return set(document).union(*map(fields, document.values()))
    return set().union(*map(fields, document)) if isinstance(document, list) else set()


@pytest.mark.parametrize(("field", "minor", "path"), NEWER)
def test_a_field_newer_than_the_asked_version_is_absent(
    api: Api, running: str, field: str, minor: int, path: str
) -> None:
    target = path.replace("{id}", running)
    assert field not in fields(api.ok("GET", f"/v1.{minor - 1}{target}").json)


@pytest.mark.parametrize(
    ("field", "minor", "path"),
    [entry for entry in NEWER if entry[0] != "DNSNames"],
)
def test_a_field_is_there_from_its_version_on(api: Api, running: str, field: str, minor: int, path: str) -> None:
    target = path.replace("{id}", running)
    assert field in fields(api.ok("GET", f"/v1.{minor}{target}").json)


@pytest.mark.parametrize(
    ("field", "last", "path"),
    [("VirtualSize", 43, "/images/json"), ("VirtualSize", 43, "/images/busybox/json")],
)
def test_a_field_that_was_taken_away_is_there_until_then(api: Api, field: str, last: int, path: str) -> None:
    assert field in fields(api.ok("GET", f"/v1.{last}{path}").json)
    assert field not in fields(api.ok("GET", f"/v1.{last + 1}{path}").json)


def test_streams_are_typed_by_version(api: Api) -> None:
    finished = api.run("echo", "hello")
    api.wait(finished)
    multiplexed = struct.pack(">BxxxL", 1, 6) + b"hello\n"
    for version, kind in (("1.51", "multiplexed-stream"), ("1.42", "multiplexed-stream"), ("1.41", "raw-stream")):
        answer = api.ok("GET", f"/v{version}/containers/{finished}/logs?stdout=1")
        assert answer.headers["Content-Type"] == f"application/vnd.docker.{kind}"
        assert answer.body == multiplexed


def test_a_head_of_a_stat_says_what_the_path_is(api: Api, running: str) -> None:
    answer = api.ok("HEAD", f"/containers/{running}/archive?path=/bin/sh")
    found = base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]).decode()
    assert '"name":"sh"' in found
    assert '"linkTarget":"/bin/busybox"' in found
