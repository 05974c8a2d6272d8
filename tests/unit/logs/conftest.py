from __future__ import annotations

from pathlib import Path

import pytest

from dockwright.logs import LogInfo


@pytest.fixture
def info(tmp_path: Path) -> LogInfo:
    return LogInfo(
        "c" * 64,
        "/web",
        str(tmp_path / "container"),
        image_id="sha256:" + "a" * 64,
        image_name="debian:bookworm",
        command="sh -c true",
        labels={"team": "red", "tier": "front"},
        env=["HOME=/root", "TEAM_COLOR=blue", "EMPTY"],
    )
