"""Hostile and broken clients: each gets a clear error or is survived, the daemon goes on answering, and nothing leaks."""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.wire import Api, connected, hijacked
from tests.host import Daemon

pytestmark = pytest.mark.root

MIB = 1 << 20


def memory_peak(daemon: Daemon) -> int:
    """The most memory the daemon ever held, in bytes."""
    with open(f"/proc/{daemon.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def descriptors(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def held(daemon: Daemon) -> list[str]:
    """What the daemon's descriptors are of."""
    found = []
    for entry in Path(f"/proc/{daemon.pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue  # closed meanwhile
    return sorted(found)


def settles_at(daemon: Daemon, before: int) -> None:
    """The daemon's descriptors are soon again what they were."""
    deadline = time.monotonic() + 20
    while descriptors(daemon) > before:
        assert time.monotonic() < deadline, f"{before} before, now {held(daemon)}"
        time.sleep(0.05)


@pytest.fixture
def steady(api: Api, daemon: Daemon) -> Iterator[Api]:
    """The shared daemon; at the end it answers, and holds no more descriptors than before."""
    api.remove(api.run("true"))  # what is opened once and kept is open now
    before = descriptors(daemon)
    yield api
    assert api.ok("GET", "/_ping").body == b"OK"
    for entry in api.ok("GET", "/containers/json?all=1").json:
        api.remove(entry["Id"])
    settles_at(daemon, before)


JSON_TYPE = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"17",
        b'"text"',
        b"\xff\xfe",
        b'{"Image": "busybox", "Cmd": "\xff"}',
        b'{"Image": 17}',
        b'{"Image": ["busybox"]}',
        b'{"Image": "busybox", "Cmd": {"a": 1}}',
        b'{"Image": "busybox", "Env": "A=b"}',
        b'{"Image": "busybox", "Env": [1]}',
        b'{"Image": "busybox", "Tty": "yes"}',
        b'{"Image": "busybox", "Labels": ["a"]}',
        b'{"Image": "busybox", "StopTimeout": "long"}',
        b'{"Image": "busybox", "StopTimeout": 99999999999999999999999}',
        b'{"Image": "busybox", "HostConfig": []}',
        b'{"Image": "busybox", "HostConfig": {"Memory": "much"}}',
        b'{"Image": "busybox", "HostConfig": {"Memory": 1.5}}',
        b'{"Image": "busybox", "HostConfig": {"Binds": "a:b"}}',
        b'{"Image": "busybox", "HostConfig": {"PortBindings": {"80/tcp": {"HostPort": 1}}}}',
        b'{"Image": "busybox", "HostConfig": {"PortBindings": {"99999/tcp": []}}}',
        b'{"Image": "busybox", "HostConfig": {"PortBindings": {"80/smtp": []}}}',
        b'{"Image": "busybox", "HostConfig": {"RestartPolicy": {"Name": "sometimes"}}}',
        b'{"Image": "busybox", "HostConfig": {"Mounts": [{"Type": "nfs", "Target": "/x"}]}}',
        b'{"Image": "busybox", "HostConfig": {"CapAdd": ["CAP_EVERYTHING"]}}',
        b'{"Image": "busybox", "HostConfig": {"Ulimits": [{"Name": "nofish", "Soft": 1, "Hard": 1}]}}',
        b'{"Image": "busybox", "HostConfig": {"SecurityOpt": ["seccomp={not json"]}}',
        b'{"Image": "busybox", "HostConfig": {"NetworkMode": "container:"}}',
        b'{"Image": "busybox", "HostConfig": {"Devices": [{"PathOnHost": "relative"}]}}',
        b'{"Image": "busybox", "HostConfig": {"ExtraHosts": ["nonsense"]}}',
        b'{"Image": "busybox", "HostConfig": {"Tmpfs": {"/x": "colour=blue"}}}',
        b'{"Image": "busybox", "HostConfig": {"LogConfig": {"Type": "carrier-pigeon"}}}',
        b'{"Image": "busybox", "Cmd": ["a\\u0000b"]}',
        b'{"Image": "busybox", "Env": ["=x"]}',
        b'{"Image": "busybox", "WorkingDir": "relative"}',
        b'{"Image": "busybox", "Hostname": "-bad-"}',
        b'{"Image": "busybox", "Healthcheck": {"Test": ["SOMETIMES"]}}',
        b'{"Image": "busybox", "Healthcheck": {"Interval": 5}}',
        b'{"Image": "../../etc"}',
        b'{"Image": ""}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"Image": "busybox", "Labels": {' + b'"a":{' * 5_000 + b"}" * 5_000 + b"}}",
    ],
    ids=lambda body: body[:50].decode(errors="replace"),
)
def test_a_bad_body_gets_a_400_and_creates_nothing(steady: Api, body: bytes) -> None:
    answer = steady("POST", "/containers/create?name=hostile", body, headers=JSON_TYPE)
    assert answer.status == 400, answer.body[:300]
    assert answer.message
    assert steady("GET", "/containers/hostile/json").status == 404


def test_unknown_fields_are_ignored_as_go_does(steady: Api) -> None:
    body = {"Image": "busybox", "Cmd": ["true"], "NoSuchField": {"a": [1]}, "HostConfig": {"AlsoNot": 1}}
    assert steady("POST", "/containers/create", body).status == 201


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/{id}/update"),
        ("POST", "/containers/{id}/exec"),
        ("POST", "/exec/{exec}/start"),
        ("POST", "/commit?container={id}"),
    ],
)
@pytest.mark.parametrize("body", [b"{", b'{"Memory": "x", "Cmd": 1, "Detach": 7}', b"\xff", b"[1]", b"[" * 50_000])
def test_a_bad_body_elsewhere_gets_a_400(steady: Api, method: str, path: str, body: bytes) -> None:
    container = steady.run()
    exec_id = steady.ok("POST", f"/containers/{container}/exec", {"Cmd": ["true"]}).json["Id"]
    answer = steady(method, path.format(id=container, exec=exec_id), body, headers=JSON_TYPE)
    assert answer.status == 400, answer.body[:300]
    assert answer.message


@pytest.mark.parametrize(
    "target",
    [
        "/containers/json?filters={",
        "/containers/json?filters=[]",
        '/containers/json?filters={"label":1}',
        "/containers/json?filters=%FF%FE",
        "/containers/json?limit=many",
        "/containers/json?limit=9" + "9" * 5000,
        "/containers/{id}/logs?stdout=1&since=yesterday",
        "/containers/{id}/logs?stdout=1&until=%00",
        "/containers/{id}/logs?stdout=1&since=9999999999999999999999999999",
        "/containers/{id}/logs",
        "/containers/{id}/archive",
        "/containers/{id}/top?ps_args=%00",
        "/events?since=never",
        "/events?until=1e400",
        '/events?filters={"colour":["blue"]}',
        "/system/df?type=hat",
        "/images/json?filters=x",
    ],
    ids=lambda target: target[:60],
)
def test_a_bad_parameter_gets_a_400(steady: Api, target: str) -> None:
    container = steady.run()
    answer = steady("GET", target.replace("{id}", container).replace("{", "%7B").replace('"', "%22"))
    assert answer.status == 400, answer.body[:300]
    assert answer.message


@pytest.mark.parametrize(
    "target",
    [
        "stop?t=soon",
        "restart?t=x",
        "kill?signal=SIGNONE",
        "kill?signal=-1",
        "resize?h=a&w=b",
        "resize",
        "wait?condition=never",
    ]
    + ["attach?detachKeys=ctrl-%00&stream=1", "rename?name=", "rename?name=%2Fa%2Fb", "rename?name=" + "a" * 10_000],
)
def test_a_bad_parameter_of_a_verb_gets_a_400_and_does_nothing(steady: Api, target: str) -> None:
    container = steady.run()
    answer = steady("POST", f"/containers/{container}/{target}")
    assert answer.status == 400, answer.body[:300]
    assert answer.message
    assert steady.ok("GET", f"/containers/{container}/json").json["State"]["Running"] is True


def test_names_of_a_million_characters_are_refused(steady: Api) -> None:
    name = "a" * 1_000_000
    assert steady("POST", f"/containers/create?name={name}", {"Image": "busybox", "Cmd": ["true"]}).status in (400, 414)
    assert steady("GET", f"/containers/{name}/json").status in (400, 404, 414)
    answer = steady("POST", "/containers/create", {"Image": name, "Cmd": ["true"]})
    assert answer.status in (400, 404)
    assert len(answer.message) < 10_000
    answer = steady("POST", "/containers/create", {"Image": "busybox", "Hostname": name, "Cmd": ["true"]})
    assert answer.status == 400
    answer = steady("POST", "/containers/create", {"Image": "busybox", "User": name, "Cmd": ["true"]})
    assert answer.status in (201, 400)


def raw_answer(api: Api, sent: bytes) -> bytes:
    """What the daemon answers to bytes that need not be HTTP; b"" when it closed without a word."""
    with connected(api.path) as sock:
        try:
            sock.sendall(sent)
        except BrokenPipeError:
            pass
        said = b""
        try:
            while part := sock.recv(65536):
                said += part
        except ConnectionResetError:
            pass
        return said


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"BREW /coffee HTTP/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nContent-Length: a\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /_ping HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nA: \x00\r\n\r\n",
        b"GET /" + b"a" * (2 * MIB) + b" HTTP/1.1\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: " + b"b" * MIB + b"\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_http_gets_a_4xx_with_a_message(steady: Api, sent: bytes) -> None:
    said = raw_answer(steady, sent)
    if not said:
        return  # closed: all a peer deserves that goes on sending past every limit
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.split()[1].startswith(b"4"), said[:300]
    assert json.loads(body)["message"]


def test_a_body_cut_short_changes_nothing(steady: Api) -> None:
    container = steady.run()
    for target in ("/containers/create?name=cut", f"/containers/{container}/archive?path=/tmp"):
        verb = "PUT" if "archive" in target else "POST"
        with connected(steady.path) as sock:
            head = f"{verb} {target} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
            sock.sendall(head.encode() + b'{"Image": "busybox"')
    assert steady("GET", "/containers/cut/json").status == 404
    answer = steady("PUT", f"/containers/{container}/archive?path=/tmp", b"no archive at all" * 100)
    assert answer.status == 400
    assert answer.message
    assert steady("POST", "/images/load", b"no archive at all" * 100).status == 400


def test_a_body_without_end_is_cut_off(steady: Api, daemon: Daemon) -> None:
    before = memory_peak(daemon)
    with connected(steady.path) as sock:
        sock.sendall(
            b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + b" " * MIB + b"\r\n"
        try:
            for _ in range(256):
                sock.sendall(chunk)
        except OSError:
            pass
        sock.settimeout(10)
        try:
            assert sock.recv(65536).split()[1] in (b"400", b"413")
        except ConnectionResetError:
            pass
    assert memory_peak(daemon) - before < 96 * MIB


def test_a_client_that_never_reads_stops_nobody(steady: Api, daemon: Daemon) -> None:
    container = steady.run("sh", "-c", "while :; do echo 0123456789012345678901234567890123456789; done")
    before = memory_peak(daemon)
    deaf = [
        connected(steady.path),
        hijacked(steady.path, f"/containers/{container}/attach?stream=1&stdout=1"),
        connected(steady.path),
    ]
    deaf[0].sendall(f"GET /containers/{container}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n".encode())
    deaf[2].sendall(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n")
    for _ in range(20):
        assert steady.ok("GET", "/_ping").body == b"OK"
        time.sleep(0.1)
    assert memory_peak(daemon) - before < 64 * MIB
    answer = steady.ok("POST", f"/containers/{container}/exec", {"Cmd": ["echo", "well"], "AttachStdout": True})
    assert b"well\n" in steady.ok("POST", f"/exec/{answer.json['Id']}/start", {}).body
    for sock in deaf:
        sock.close()
    steady.remove(container)


def test_clients_that_vanish_leave_nothing(steady: Api, daemon: Daemon) -> None:
    container = steady.run("cat", OpenStdin=True)
    terminal = steady.run("cat", Tty=True, OpenStdin=True)
    before = descriptors(daemon)
    for number in range(30):
        target = (container, terminal)[number % 2]
        sock = hijacked(steady.path, f"/containers/{target}/attach?stream=1&stdin=1&stdout=1&stderr=1")
        sock.sendall(b"x" * 1000)
        # A reset in place of an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        body = {"Cmd": ["sleep", "0.1"], "AttachStdin": True, "AttachStdout": True, "Tty": number % 3 == 0}
        exec_id = steady.ok("POST", f"/containers/{target}/exec", body).json["Id"]
        sock = hijacked(steady.path, f"/exec/{exec_id}/start", b"{}")
        sock.sendall(b"y\n")
        sock.close()
        with connected(steady.path) as sock:
            sock.sendall(f"POST /containers/{target}/wait HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        with connected(steady.path) as sock:
            sock.sendall(f"GET /containers/{target}/stats HTTP/1.1\r\nHost: d\r\n\r\n".encode())
    settles_at(daemon, before)
    assert steady.ok("GET", f"/containers/{container}/json").json["State"]["Running"] is True


@pytest.mark.timeout(300)
def test_a_log_of_one_100_mb_line_is_whole_and_memory_stays_bounded(own_daemon: Daemon) -> None:
    api = Api(str(own_daemon.socket))
    before = memory_peak(own_daemon)
    size = 100_000_000
    container = api.run("sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x")
    assert api.wait(container) == 0
    received = 0
    with connected(api.path) as sock:
        sock.sendall(f"GET /containers/{container}/logs?stdout=1 HTTP/1.0\r\nHost: d\r\n\r\n".encode())
        with sock.makefile("rb") as stream:
            while stream.readline().strip():
                pass
            while head := stream.read(8):
                length = struct.unpack(">BxxxL", head)[1]
                part = stream.read(length)
                assert len(part) == length
                received += part.count(b"x")
    kept = min(size, 5 * 20_000_000)
    assert kept * 0.7 < received <= size
    assert memory_peak(own_daemon) - before < 128 * MIB
    assert api.ok("GET", "/_ping").body == b"OK"


@pytest.mark.timeout(300)
def test_ten_thousand_idle_connections_are_carried(own_daemon: Daemon) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 10_500:
        pytest.skip(f"descriptors are missing: 10,500 are needed, the limit is {hard}")
    api = Api(str(own_daemon.socket))
    api.remove(api.run("true"))
    before, peak = descriptors(own_daemon), memory_peak(own_daemon)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle: list[socket.socket] = []
    try:
        for number in range(10_000):
            sock = connected(api.path)
            if number % 2:
                sock.sendall(b"GET /_ping HT")  # a request that never ends
            idle.append(sock)
        assert api.ok("GET", "/_ping").body == b"OK"
        assert api.wait(api.run("true")) == 0
        assert memory_peak(own_daemon) - peak < 400 * MIB
    finally:
        for sock in idle:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    settles_at(own_daemon, before + 2)
