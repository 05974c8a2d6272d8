"""syslog and journald against sockets that listen as the services do."""

from __future__ import annotations

import array
import asyncio
import json
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockwright.errors import Invalid, Unavailable, Unsupported
from dockwright.logs import LogInfo, Query, Record, read_stored
from dockwright.logs.drivers import open_driver
from dockwright.logs.journald import JournaldDriver, field_name, read_journal
from dockwright.logs.plain import CachedDriver
from dockwright.logs.record import Readable

TIME_NS = 1_475_713_029_669_794_202
RECORDS = [
    Record("stdout", TIME_NS, b"hello\n"),
    Record("stderr", TIME_NS, b"oops\n"),
    Record("stdout", TIME_NS, b"\n"),
]


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        yield server


def options(server: socket.socket, scheme: str, **more: str) -> dict[str, str]:
    address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
    return {"syslog-address": address, "cache-disabled": "true", **more}


@pytest.mark.parametrize(
    ("format_", "pattern"),
    [
        ("", rb"<30>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \S+ cccccccccccc\[\d+\]: hello"),
        ("rfc3164", rb"<30>[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \S+ cccccccccccc\[\d+\]: hello"),
        ("rfc5424", rb"<30>1 2016-10-06T\d\d:\d\d:09(Z|[+-]\d\d:\d\d) \S+ cccccccccccc \d+ cccccccccccc - hello"),
        (
            "rfc5424micro",
            rb"<30>1 2016-10-06T\d\d:\d\d:09\.669794(Z|[+-]\d\d:\d\d) \S+ cccccccccccc \d+ cccccccccccc - hello",
        ),
    ],
)
def test_syslog_formats(udp: socket.socket, info: LogInfo, format_: str, pattern: bytes) -> None:
    driver = open_driver("syslog", options(udp, "udp", **{"syslog-format": format_}), info)
    driver.write(RECORDS)
    driver.close()
    assert re.fullmatch(pattern, udp.recv(2000))
    assert udp.recv(2000).startswith(b"<27>")
    udp.setblocking(False)
    with pytest.raises(BlockingIOError):
        udp.recv(2000)


def test_syslog_facility_and_tag(udp: socket.socket, info: LogInfo) -> None:
    more = {"syslog-facility": "local3", "tag": "{{.Name}}"}
    driver = open_driver("syslog", options(udp, "udp", **more), info)
    driver.write(RECORDS[:1])
    driver.close()
    assert re.match(rb"<158>.* web\[\d+\]: hello$", udp.recv(2000))


def test_syslog_over_tcp_ends_messages_with_a_newline_and_connects_again(info: LogInfo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        driver = open_driver("syslog", options(server, "tcp"), info)
        first, _ = server.accept()
        driver.write(RECORDS[:2])
        with first.makefile("rb") as lines:
            assert lines.readline().endswith(b": hello\n")
            assert lines.readline().endswith(b": oops\n")
        first.close()
        for _ in range(3):
            driver.write(RECORDS[:1])
        second, _ = server.accept()
        with second.makefile("rb") as lines:
            assert lines.readline().endswith(b": hello\n")
        second.close()
        driver.close()


def test_syslog_over_tls_counts_bytes(info: LogInfo, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []

    def serve(server: socket.socket) -> None:
        with server.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as client:
            while data := client.recv(1000):
                received.append(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        more = {"syslog-tls-ca-cert": str(certificate), "syslog-format": "rfc5424"}
        driver = open_driver("syslog", options(server, "tcp+tls", **more), info)
        driver.write(RECORDS[:1])
        driver.close()
        thread.join(5)
    count, _, message = b"".join(received).partition(b" ")
    assert int(count) == len(message)
    assert message.endswith(b" - hello")


@pytest.mark.parametrize(("scheme", "kind"), [("unix", socket.SOCK_STREAM), ("unixgram", socket.SOCK_DGRAM)])
def test_syslog_over_a_unix_socket(info: LogInfo, tmp_path: Path, scheme: str, kind: socket.SocketKind) -> None:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(str(path))
        if kind == socket.SOCK_STREAM:
            server.listen()
        driver = open_driver("syslog", {"syslog-address": f"{scheme}://{path}", "cache-disabled": "true"}, info)
        driver.write(RECORDS[:1])
        receiver = server.accept()[0] if kind == socket.SOCK_STREAM else server
        assert receiver.recv(1000).endswith(b"]: hello")
        if receiver is not server:
            receiver.close()
        driver.close()


def test_syslog_nobody_answers_is_a_clear_error(info: LogInfo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = options(server, "tcp")
    with pytest.raises(Unavailable, match="failed to initialize logging driver"):
        open_driver("syslog", settings, info)
    with pytest.raises(Invalid, match="syslog TLS files"):
        open_driver("syslog", options_tls(settings), info)


def options_tls(settings: dict[str, str]) -> dict[str, str]:
    return {**settings, "syslog-address": "tcp+tls://127.0.0.1:1", "syslog-tls-ca-cert": "/nowhere"}


async def test_what_syslog_sent_can_be_read_from_the_cache(udp: socket.socket, info: LogInfo) -> None:
    settings = options(udp, "udp")
    del settings["cache-disabled"]
    driver = await asyncio.to_thread(open_driver, "syslog", settings, info)
    assert isinstance(driver, CachedDriver)
    assert isinstance(driver, Readable)
    await asyncio.to_thread(driver.write, RECORDS)
    await asyncio.to_thread(driver.close)
    assert [record async for record in read_stored("syslog", settings, info, Query())] == RECORDS


async def test_drivers_that_keep_nothing_say_so(info: LogInfo) -> None:
    for driver, settings in (("none", {}), ("syslog", {"cache-disabled": "true"})):
        with pytest.raises(Unsupported, match="configured logging driver does not support reading"):
            [record async for record in read_stored(driver, settings, info, Query())]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(5)
        yield server


def fields(entry: bytes) -> dict[str, bytes]:
    found = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[9 + length :]
        found[key.decode()] = value
        entry = rest
    return found


def test_journald_gets_dockers_fields(journal: socket.socket, info: LogInfo, tmp_path: Path) -> None:
    driver = JournaldDriver(info, {"labels": "team", "tag": "{{.Name}}"}, tmp_path / "journal")
    driver.write([RECORDS[0], RECORDS[1], Record("stdout", TIME_NS, b"two\rpiec")])
    found = fields(journal.recv(10_000))
    assert found.pop("CONTAINER_LOG_EPOCH")
    assert found == {
        "CONTAINER_ID": b"c" * 12,
        "CONTAINER_ID_FULL": b"c" * 64,
        "CONTAINER_NAME": b"web",
        "CONTAINER_TAG": b"web",
        "IMAGE_NAME": b"debian:bookworm",
        "SYSLOG_IDENTIFIER": b"web",
        "TEAM": b"red",
        "PRIORITY": b"6",
        "SYSLOG_TIMESTAMP": b"2016-10-06T00:17:09.669794202Z",
        "CONTAINER_LOG_ORDINAL": b"1",
        "MESSAGE": b"hello",
    }
    assert fields(journal.recv(10_000))["PRIORITY"] == b"3"
    assert fields(journal.recv(10_000))["CONTAINER_PARTIAL_MESSAGE"] == b"true"
    driver.close()


def test_a_large_entry_is_sent_as_a_sealed_file(journal: socket.socket, info: LogInfo, tmp_path: Path) -> None:
    driver = JournaldDriver(info, {}, tmp_path / "journal")
    driver.write([Record("stdout", TIME_NS, b"x" * 1_000_000 + b"\n")])
    _, ancillary, _, _ = journal.recvmsg(100, socket.CMSG_SPACE(4))
    fd = array.array("i", ancillary[0][2])[0]
    try:
        assert fields(os.pread(fd, 2_000_000, 0))["MESSAGE"] == b"x" * 1_000_000
    finally:
        os.close(fd)
    driver.close()


def test_without_a_journal_the_driver_says_so(info: LogInfo, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="journald is not enabled on this host"):
        JournaldDriver(info, {}, tmp_path / "nowhere")


def test_field_names_are_what_the_journal_takes() -> None:
    assert field_name("com.example-app/x") == "COM_EXAMPLE_APP_X"
    assert field_name("_hidden") == "HIDDEN"


async def test_the_journal_is_read_through_journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        {"MESSAGE": "hello", "PRIORITY": "6", "SYSLOG_TIMESTAMP": "2016-10-06T00:17:09.669794202Z"},
        {"MESSAGE": [111, 255], "PRIORITY": "3", "__REALTIME_TIMESTAMP": "1475713029669794"},
        {"MESSAGE": "piece", "PRIORITY": "6", "CONTAINER_PARTIAL_MESSAGE": "true", "__REALTIME_TIMESTAMP": "1"},
    ]
    program = tmp_path / "journalctl"
    (tmp_path / "entries").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat {tmp_path}/entries\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    records = [record async for record in read_journal("c" * 64, Query(tail=5))]
    assert records == [
        Record("stdout", TIME_NS, b"hello\n"),
        Record("stderr", 1_475_713_029_669_794_000, b"o\xff\n"),
        Record("stdout", 1000, b"piece"),
    ]
    assert (tmp_path / "arguments").read_text().split()[-2:] == [f"CONTAINER_ID_FULL={'c' * 64}", "--lines=5"]
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unsupported, match="journalctl"):
        [record async for record in read_journal("c" * 64, Query())]
