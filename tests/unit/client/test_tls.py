"""TLS with client certificates on loopback, and ssh by way of a stand-in program: both close one direction alone."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.client.server import Engine, answer, read_request

from dockwright.client import ssh
from dockwright.client.aio import AsyncClient
from dockwright.client.calls import containers, system
from dockwright.client.endpoint import Endpoint, Tls
from dockwright.client.errors import CannotConnect
from dockwright.client.sync import Client


def _certificate(directory: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None):  # type: ignore[no-untyped-def]
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (directory / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / f"{name}-key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    authority = _certificate(directory, "ca", None)
    _certificate(directory, "server", authority)
    _certificate(directory, "client", authority)
    return directory


@pytest.fixture
def tls_port(certificates: Path) -> Iterator[int]:
    """A server that wants a client certificate; it answers the ping, and echoes an attach once stdin has ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve(raw: socket.socket) -> None:
        try:
            with context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=True) as connection:
                while request := read_request(connection.makefile("rb", buffering=0)):
                    if request.path == "/_ping":
                        connection.sendall(answer(None, 200, "Api-Version: 1.51"))
                        continue
                    if request.path == "/info":
                        connection.sendall(answer({"ID": "tls"}))
                        continue
                    connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n")
                    data = b""
                    while piece := connection.recv(1000):
                        data += piece
                    connection.sendall(data.upper())
                    return
        except OSError:
            return

    threads: list[threading.Thread] = []

    def accept() -> None:
        while not stop.is_set():
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(raw,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    yield listener.getsockname()[1]
    stop.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    accepting.join()
    for thread in threads:
        thread.join()


def _tls(certificates: Path, *, client: bool = True, verify: bool = True) -> Tls:
    cert = (str(certificates / "client.pem"), str(certificates / "client-key.pem")) if client else ("", "")
    return Tls(str(certificates / "ca.pem"), *cert, verify)


def test_a_client_certificate_opens_the_door_and_stdin_can_end_alone(certificates: Path, tls_port: int) -> None:
    with Client(Endpoint.parse(f"tcp://127.0.0.1:{tls_port}", _tls(certificates))) as client:
        assert client.json(system.info()) == {"ID": "tls"}
        stream = client.hijack(containers.attach("a", stdin=True))
        stream.write(b"x" * 200_000)
        stream.close_write()
        assert b"".join(stream) == b"X" * 200_000
        stream.close()


async def test_the_asynchronous_face_does_the_same(certificates: Path, tls_port: int) -> None:
    endpoint = Endpoint.parse(f"tcp://127.0.0.1:{tls_port}", _tls(certificates, verify=False))
    async with AsyncClient(endpoint) as client:
        assert await client.json(system.info()) == {"ID": "tls"}
        stream = await client.hijack(containers.attach("a", stdin=True))
        await stream.write(b"hello")
        await stream.close_write()
        assert b"".join([piece async for piece in stream]) == b"HELLO"
        stream.close()


def test_a_server_nobody_vouches_for_is_refused(certificates: Path, tls_port: int, tmp_path: Path) -> None:
    _certificate(tmp_path, "other", None)
    tls = Tls(str(tmp_path / "other.pem"))
    with (
        Client(Endpoint.parse(f"tcp://127.0.0.1:{tls_port}", tls)) as client,
        pytest.raises(CannotConnect, match="TLS"),
    ):
        client.json(system.info())


def test_a_certificate_file_that_does_not_exist_is_named(tls_port: int) -> None:
    endpoint = Endpoint.parse(f"tcp://127.0.0.1:{tls_port}", Tls("/nope/ca.pem"))
    with Client(endpoint) as client, pytest.raises(CannotConnect, match=r"/nope/ca\.pem"):
        client.json(system.info())


@pytest.fixture
def stand_in(fake_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of ssh: it notes its arguments and joins stdin and stdout to the engine's socket."""
    program = tmp_path / "ssh"
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/arguments\n"
        f"exec {sys.executable} -m dockwright.cli -H {fake_engine.url} system dial-stdio\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(ssh, "PROGRAM", str(program))
    return tmp_path / "arguments"


def test_ssh_reaches_the_engine_through_dial_stdio(fake_engine: Engine, stand_in: Path) -> None:
    fake_engine.answers["GET /info"] = answer({"ID": "far"})
    with Client(Endpoint.parse("ssh://me@far.example:2222")) as client:
        assert client.json(system.info()) == {"ID": "far"}
    for child in ssh._children:
        child.wait(10)
    ssh.reap()
    arguments = stand_in.read_text().splitlines()
    assert arguments[3:][:7] == ["-l", "me", "-p", "2222", "--", "far.example", "sh"]
    assert "system dial-stdio" in arguments[-1]


def test_a_path_after_the_host_is_the_far_socket() -> None:
    script = ssh.command(Endpoint.parse("ssh://far/run/x.sock"))[-1].replace("'\\''", "")
    assert "exec dockwright --host unix:///run/x.sock system dial-stdio" in script
