"""The daemon's own life: ends and starts with containers running, roots in use, TLS, two side by side, wrong flags."""

from __future__ import annotations

import datetime
import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.api.wire import Api, hijacked
from tests.host import Daemon

pytestmark = pytest.mark.root


def state_of(api: Api, container: str) -> dict[str, object]:
    found: dict[str, object] = api.ok("GET", f"/containers/{container}/json").json["State"]
    return found


def until(api: Api, container: str, status: str) -> dict[str, object]:
    while (found := state_of(api, container))["Status"] != status:
        time.sleep(0.02)
    return found


def logs(api: Api, container: str) -> list[bytes]:
    raw = api.ok("GET", f"/containers/{container}/logs?stdout=1").body
    said = b""
    while raw:
        length = int.from_bytes(raw[4:8], "big")
        said += raw[8 : 8 + length]
        raw = raw[8 + length :]
    return said.split()


def test_kill_9_hurts_no_container_and_loses_no_log(own_daemon: Daemon) -> None:
    api = Api(str(own_daemon.socket))
    container = api.run("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done")
    reader = api.run("cat", OpenStdin=True)
    before = state_of(api, container)
    client = hijacked(api.path, f"/containers/{container}/attach?stream=1&stdout=1")
    assert client.recv(100)
    own_daemon.kill()
    while client.recv(65536):
        pass  # the attached client sees the end
    client.close()
    time.sleep(0.3)
    own_daemon.start()
    after = state_of(api, container)
    assert (after["Status"], after["Pid"], after["StartedAt"]) == ("running", before["Pid"], before["StartedAt"])
    ran = api.ok("POST", f"/containers/{container}/exec", {"Cmd": ["echo", "again"], "AttachStdout": True}).json["Id"]
    assert b"again\n" in api.ok("POST", f"/exec/{ran}/start", {}).body
    client = hijacked(api.path, f"/containers/{reader}/attach?stream=1&stdin=1&stdout=1")
    client.sendall(b"echoed\n")
    assert client.recv(100).endswith(b"echoed\n")
    client.close()
    api.ok("POST", f"/containers/{container}/stop?t=0")
    said = [int(word) for word in logs(api, container)]
    assert said == list(range(1, len(said) + 1))
    assert len(said) > 30


def test_exits_while_the_daemon_is_down_are_recorded_with_code_and_time(own_daemon: Daemon) -> None:
    api = Api(str(own_daemon.socket))
    container = api.run("sh", "-c", "echo ready; while ! test -e /tmp/end; do sleep 0.02; done; echo bye; exit 7")
    doomed = api.run("sleep", "1000")
    pid = state_of(api, container)["Pid"]
    doomed_pid = state_of(api, doomed)["Pid"]
    own_daemon.kill()
    began = time.time()
    Path(f"/proc/{pid}/root/tmp/end").touch()
    subprocess.run(["kill", "-9", str(doomed_pid)], check=True)
    while Path(f"/proc/{pid}").exists() or Path(f"/proc/{doomed_pid}").exists():
        time.sleep(0.02)
    ended = time.time()
    time.sleep(1.1)  # so that the time recorded can be told from the time of the next start
    own_daemon.start()
    found = until(api, container, "exited")
    assert found["ExitCode"] == 7
    finished = datetime.datetime.fromisoformat(str(found["FinishedAt"])[:26].rstrip("Z") + "+00:00").timestamp()
    assert began - 1 <= finished <= ended + 1
    assert logs(api, container) == [b"ready", b"bye"]
    assert until(api, doomed, "exited")["ExitCode"] == 137


def test_restart_policies_are_applied_at_the_start(own_daemon: Daemon) -> None:
    api = Api(str(own_daemon.socket))

    def run(policy: str) -> str:
        return api.run("sleep", "1000", HostConfig={"RestartPolicy": {"Name": policy}})

    always, unless, never, stopped, stopped_always = (
        run("always"),
        run("unless-stopped"),
        run("no"),
        run("unless-stopped"),
        run("always"),
    )
    for container in (stopped, stopped_always):
        api.ok("POST", f"/containers/{container}/stop?t=0")
    pids = [state_of(api, container)["Pid"] for container in (always, unless, never)]
    own_daemon.kill()
    for pid in pids:
        subprocess.run(["kill", "-9", str(pid)], check=True)
    own_daemon.start()
    for container in (always, unless, stopped_always):
        until(api, container, "running")
    assert until(api, never, "exited")["ExitCode"] == 137
    assert state_of(api, stopped)["Status"] == "exited"


def test_a_graceful_end_leaves_containers_running(own_daemon: Daemon) -> None:
    api = Api(str(own_daemon.socket))
    container = api.run("sleep", "1000")
    before = state_of(api, container)
    assert own_daemon.stop() == 0
    assert not own_daemon.socket.exists()
    assert Path(f"/proc/{before['Pid']}").exists()
    own_daemon.start()
    assert state_of(api, container)["Pid"] == before["Pid"]


def test_without_live_restore_a_graceful_end_stops_containers(scratch: Path, busybox_image: Path) -> None:
    with Daemon(scratch / "ending", "dwending", "--live-restore=false") as daemon:
        daemon.import_image(busybox_image, "busybox:latest")
        api = Api(str(daemon.socket))
        container = api.run("sh", "-c", "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.02; done")
        while not logs(api, container):
            time.sleep(0.02)
        pid = state_of(api, container)["Pid"]
        assert daemon.stop() == 0
        assert not Path(f"/proc/{pid}").exists()
        daemon.start()
        found = state_of(api, container)
        assert (found["Status"], found["ExitCode"]) == ("exited", 3)
        assert logs(api, container) == [b"ready", b"told"]


def refused(root: Path, *flags: str) -> str:
    """What a daemon that must not start says."""
    done = subprocess.run(
        [sys.executable, "-c", "from dockwright.api.daemon import main; main()", *flags, f"--data-root={root}/data"]
        + [f"--exec-root={root}/exec", "--bridge=dwrefused"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_root_in_use_is_refused_and_its_owner_named(daemon: Daemon, tmp_path: Path) -> None:
    message = refused(daemon.root, f"--host=unix://{tmp_path}/s")
    assert "is in use by another engine" in message
    assert str(daemon.pid) in message


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--no-such-flag"], "unknown flag: --no-such-flag"),
        (["--host=tcp://127.0.0.1:0"], "a port is needed"),
        (["--host=tcp://127.0.0.1:23751"], "without TLS gives root"),
        (["--config-file=/no/such/file"], "no such configuration file"),
        (["--default-runtime=none"], "is not known"),
        (["--add-runtime=mine=/no/such/runtime"], "cannot be executed"),
        (["--storage-driver=zfs"], "not supported"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_setting_is_refused_in_one_line(tmp_path: Path, flags: list[str], words: str) -> None:
    message = refused(tmp_path, *flags)
    assert words in message
    assert message.count("\n") == 1


def test_two_daemons_side_by_side(daemon: Daemon, own_daemon: Daemon) -> None:
    first, second = Api(str(daemon.socket)), Api(str(own_daemon.socket))
    a = first.run("sleep", "1000", HostConfig={"NetworkMode": "bridge"})
    b = second.run("sleep", "1000", HostConfig={"NetworkMode": "bridge"})
    assert first("GET", f"/containers/{b}/json").status == 404
    assert second("GET", f"/containers/{a}/json").status == 404
    assert first.ok("GET", "/info").json["ID"] != second.ok("GET", "/info").json["ID"]
    own_daemon.restart()
    assert state_of(first, a)["Status"] == state_of(second, b)["Status"] == "running"
    first.remove(a)


class Authority:
    """A certificate authority of this test."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path = directory / f"{name}.pem"
        self._write(self.path, self._sign(self._name, self._key.public_key(), None))

    def issue(self, name: str, usage: x509.ObjectIdentifier) -> tuple[Path, Path]:
        """Certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate, secret = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        self._write(certificate, self._sign(subject, key.public_key(), usage))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, secret

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, usage: x509.ObjectIdentifier | None
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if usage is None:
            builder = builder.add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
            )
        else:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False).add_extension(
                x509.SubjectAlternativeName([address]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())

    @staticmethod
    def _write(path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def secured(scratch: Path, tmp_path: Path) -> Iterator[tuple[Daemon, int, Authority]]:
    """A daemon on TCP that wants client certificates."""
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server", ExtendedKeyUsageOID.SERVER_AUTH)
    port = free_port()
    flags = ["--tlsverify", f"--tlscacert={authority.path}", f"--tlscert={certificate}", f"--tlskey={key}"]
    with Daemon(scratch / "secured", "dwsecured", f"--host=tcp://127.0.0.1:{port}", *flags) as daemon:
        yield daemon, port, authority


def test_tls_wants_a_client_certificate_of_its_authority(
    secured: tuple[Daemon, int, Authority], tmp_path: Path
) -> None:
    _, port, authority = secured
    certificate, key = authority.issue("client", ExtendedKeyUsageOID.CLIENT_AUTH)
    tls = docker.tls.TLSConfig(client_cert=(str(certificate), str(key)), ca_cert=str(authority.path), verify=True)
    client = docker.DockerClient(base_url=f"tcp://127.0.0.1:{port}", tls=tls, version="1.51")
    assert client.ping()
    client.close()
    stranger = Authority(tmp_path, "stranger")
    for credentials in (None, stranger.issue("intruder", ExtendedKeyUsageOID.CLIENT_AUTH)):
        context = ssl.create_default_context(cafile=str(authority.path))
        if credentials is not None:
            context.load_cert_chain(*credentials)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            answered = ask(port, context)
            raise ConnectionError("closed without a word") if not answered else AssertionError(answered)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        try:
            assert b"200 OK" not in plain.recv(4096)
        except ConnectionError:
            pass


def ask(port: int, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as bare,
        context.wrap_socket(bare, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        return secure.recv(4096)


def test_a_stale_socket_is_replaced_and_a_served_one_is_not(own_daemon: Daemon, tmp_path: Path) -> None:
    own_daemon.kill()
    assert own_daemon.socket.exists()
    own_daemon.start()
    assert own_daemon.socket.stat().st_mode & 0o777 == 0o660
    assert "served by another process" in refused(tmp_path, f"--host={own_daemon.url}")


def test_sigint_ends_it_as_sigterm_does(own_daemon: Daemon) -> None:
    assert own_daemon._process is not None
    own_daemon._process.send_signal(signal.SIGINT)
    assert own_daemon._process.wait(30) == 0
