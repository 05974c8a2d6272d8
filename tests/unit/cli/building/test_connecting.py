"""Upgrades of connections that the engine does not grant."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.unit.client.server import Engine, Request, answer

from dockwright.cli import main


def _hang_up(request: Request, connection: socket.socket) -> None:
    connection.close()


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (answer({"message": "not today"}, 403), "Error response from daemon: not today"),
        (answer({}, 200), "the engine answers an upgrade with status 200"),
        (_hang_up, "the engine closed the connection"),
        (b"nonsense\r\n\r\n", "not HTTP"),
    ],
)
def test_a_refusal_is_told(
    fake_engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    refusal: bytes,
    told: str,
) -> None:
    fake_engine.answers["HEAD /_ping"] = answer(None, 200, "Api-Version: 1.51", "Builder-Version: 2")
    fake_engine.answers["POST /grpc"] = refusal
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setenv("DOCKER_HOST", fake_engine.url)
    monkeypatch.setenv("DOCKER_CONFIG", "/nonexistent")
    assert main.run(["build", str(tmp_path)]) == 1
    assert told in capfd.readouterr().err
