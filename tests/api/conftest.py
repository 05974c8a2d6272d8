"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.wire import Api
from tests.host import Daemon


@pytest.fixture
def api(daemon: Daemon) -> Iterator[Api]:
    """The shared daemon over HTTP; what containers a test leaves are removed."""
    found = Api(str(daemon.socket))
    before = {entry["Id"] for entry in found.ok("GET", "/containers/json?all=1").json}
    yield found
    for entry in found.ok("GET", "/containers/json?all=1").json:
        if entry["Id"] not in before:
            found.remove(entry["Id"])
