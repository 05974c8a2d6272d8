"""A cache that another BuildKit wrote: dockerd 28.5's, with `--cache-to type=local,mode=max`, as it lies in `cache_of_buildkit`.

Its keys are digests of BuildKit's own definitions, and ours are not: it is read, and holds nothing that a build of ours asks for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.real_builds.conftest import Table
from tests.faces import Face

pytestmark = pytest.mark.root

RECORDED = Path(__file__).with_name("cache_of_buildkit")
# What it was written for.
FILES = {
    "Dockerfile": "FROM scratch AS one\nCOPY a.txt /a\nFROM scratch\nCOPY --from=one /a /b\nCOPY a.txt /c\n",
    "a.txt": "a",
}


def test_a_cache_of_another_buildkit_is_read_and_does_no_harm(by: Face, table: Table, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    words = ("--cache-from", f"type=local,src={RECORDED}")
    if by.name == "classic":
        assert "type=local" in by.refusal(*words, str(tmp_path)), "it knows images by name alone"
        return
    made = by.build(*words, str(tmp_path))
    assert not (table.is_first("recorded", made) and made.cached)
    assert made.image == by.build(str(tmp_path)).image
    assert len(table.client.images.get(made.image).attrs["RootFS"]["Layers"]) == 2
