"""The synchronous face against a real socket."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.unit.client.server import Engine, Request, answer

from dockwright import errors
from dockwright.client.calls import containers, images, system
from dockwright.client.endpoint import Endpoint
from dockwright.client.errors import CannotConnect, ProtocolError, ResponseError
from dockwright.client.sync import Client


@pytest.fixture
def client(fake_engine: Engine) -> Client:
    return Client(Endpoint.parse(fake_engine.url))


def test_a_connection_is_used_again_and_the_version_asked_once(fake_engine: Engine, client: Client) -> None:
    fake_engine.answers["GET /info"] = answer({"ID": "x"})
    with client:
        assert client.json(system.info()) == {"ID": "x"}
        assert client.json(system.info()) == {"ID": "x"}
    assert [one.path for one in fake_engine.requests] == ["/_ping", "/info", "/info"]
    assert fake_engine.connections == 1
    assert fake_engine.asked("GET /info").version == "1.51"


@pytest.mark.parametrize(("theirs", "spoken"), [("1.41", "1.41"), ("1.99", "1.51"), ("1.9", "1.9")])
def test_the_lower_of_both_versions_is_spoken(fake_engine: Engine, client: Client, theirs: str, spoken: str) -> None:
    fake_engine.answers["HEAD /_ping"] = answer(None, 200, f"Api-Version: {theirs}")
    with client:
        assert client.version == spoken
        assert client.at_least("1.24") is (theirs != "1.9")


def test_the_environment_can_fix_the_version(fake_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_API_VERSION", "1.30")
    fake_engine.answers["GET /info"] = answer({})
    with Client(Endpoint.parse(fake_engine.url)) as client:
        client.json(system.info())
    assert [(one.path, one.version) for one in fake_engine.requests] == [("/info", "1.30")]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid), (401, errors.Unauthorized), (403, errors.Forbidden),
        (404, errors.NotFound), (409, errors.Conflict), (418, errors.Invalid), (500, errors.HostFailure),
        (501, errors.Unsupported), (503, errors.Unavailable),
    ],
)  # fmt: skip
def test_each_status_is_an_error_of_its_kind(
    fake_engine: Engine, client: Client, status: int, kind: type[errors.DockwrightError]
) -> None:
    fake_engine.answers["GET /info"] = answer({"message": "no, because"}, status)
    with client, pytest.raises(kind, match="no, because") as caught:
        client.json(system.info())
    assert isinstance(caught.value, ResponseError)
    assert caught.value.status == status


def test_an_error_that_is_not_json_is_told_as_it_is(fake_engine: Engine, client: Client) -> None:
    fake_engine.answers["GET /info"] = b"HTTP/1.1 500 X\r\nContent-Length: 7\r\n\r\nplain\n\n"
    with client, pytest.raises(errors.HostFailure, match=r"^plain$"):
        client.json(system.info())


def test_a_body_of_unknown_length_is_sent_in_chunks(fake_engine: Engine, client: Client) -> None:
    fake_engine.answers["PUT /containers/a/archive"] = answer()
    with client:
        client.run(containers.put_archive("a", "/", iter([b"one", b"", b"two"])))
    assert fake_engine.asked("PUT /containers/a/archive").body == b"onetwo"


def test_an_upload_that_is_refused_early_tells_the_reason(fake_engine: Engine, client: Client) -> None:
    # The engine answers after the head and stops reading: the rest of a long body must not hang or hide the answer.
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = fake_engine.socket.parent / "refusing.sock"
    listener.bind(str(path))
    listener.listen(4)

    def endless() -> object:
        connection, _ = listener.accept()
        connection.sendall(answer({"message": "too big"}, 400))
        held.append(connection)
        while True:
            yield b"x" * 65536

    held: list[socket.socket] = []
    with (
        Client(Endpoint.parse(f"unix://{path}"), version="1.51") as refused,
        pytest.raises(errors.Invalid, match="too big"),
    ):
        refused.run(images.load(endless()))  # type: ignore[arg-type]
    for one in (listener, *held):
        one.close()


def test_values_of_a_stream_arrive_one_by_one(fake_engine: Engine, client: Client) -> None:
    def stream(request: Request, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b'8\r\n{"a":1}\n\r\n')
        assert connection.recv(1) == b""

    fake_engine.answers["GET /events"] = stream
    with client:
        response = client.send(system.events())
        assert next(response.values()) == {"a": 1}
        response.close()


def test_a_hijacked_stream_closes_one_direction_at_a_time(fake_engine: Engine, client: Client) -> None:
    def echo(request: Request, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        data = b""
        while piece := connection.recv(100):
            data += piece
        connection.sendall(data.upper())

    fake_engine.answers["POST /containers/a/attach"] = echo
    with client:
        stream = client.hijack(containers.attach("a", stdin=True, stdout=True))
        stream.write(b"hello ")
        stream.write(b"world")
        stream.close_write()
        assert b"".join(stream) == b"HELLO WORLD"
    assert fake_engine.asked("POST /containers/a/attach").headers["upgrade"] == "tcp"


def test_an_engine_of_before_api_1_42_hijacks_with_a_plain_200(fake_engine: Engine, client: Client) -> None:
    def old(request: Request, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
        connection.sendall(connection.recv(100))

    fake_engine.answers["POST /containers/a/attach"] = old
    with client:
        stream = client.hijack(containers.attach("a", stdin=True))
        stream.write(b"hi")
        assert b"".join(stream) == b"hi"


def test_calls_sent_together_overlap(fake_engine: Engine, client: Client) -> None:
    import threading

    both = threading.Barrier(2, timeout=10)

    def wait(request: Request, connection: socket.socket) -> None:
        both.wait()
        connection.sendall(answer(None, 204))

    fake_engine.answers["POST /containers/a/stop"] = wait
    fake_engine.answers["POST /containers/b/stop"] = wait
    calls = [containers.stop(name) for name in ("a", "b", "c")]
    with client:
        outcomes = list(client.run_together(calls))
    assert outcomes[:2] == [None, None]
    assert isinstance(outcomes[2], errors.NotFound)


def test_an_idle_connection_the_engine_has_closed_is_replaced(fake_engine: Engine, client: Client) -> None:
    def once(request: Request, connection: socket.socket) -> None:
        connection.sendall(answer({"n": 1}))
        connection.shutdown(socket.SHUT_RDWR)

    fake_engine.answers["GET /info"] = once
    with client:
        assert client.json(system.info()) == {"n": 1}
        assert client.json(system.info()) == {"n": 1}


def test_nobody_at_the_address_is_told_in_dockers_words(tmp_path: Path) -> None:
    with (
        Client(Endpoint.parse(f"unix://{tmp_path}/none")) as client,
        pytest.raises(
            CannotConnect,
            match=f"Cannot connect to the Docker daemon at unix://{tmp_path}/none. Is the docker daemon running?",
        ),
    ):
        client.json(system.info())


def test_a_peer_that_speaks_something_else_is_told(fake_engine: Engine, client: Client) -> None:
    fake_engine.answers["GET /info"] = b"220 smtp ready\r\n\r\n"
    with client, pytest.raises(ProtocolError, match="not HTTP"):
        client.json(system.info())
