"""The faces of the builder, for builds that are cut short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faces import FACES, Face, face


@pytest.fixture(params=FACES)
def by(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Face]:
    """Each face in turn, on the engine at the URL that it is given."""
    return lambda url: face(request.param, url, tmp_path / "home")
