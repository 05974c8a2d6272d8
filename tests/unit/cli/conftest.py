"""The small engine as a fixture."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.client.server import Engine


@pytest.fixture
def fake_engine() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="dwc-", dir="/tmp") as directory:
        engine = Engine(Path(directory))
        yield engine
        engine.close()
