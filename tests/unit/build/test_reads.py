"""What a Dockerfile reads of its context."""

from __future__ import annotations

import pytest

from dockwright.build.dockerfile import parse
from dockwright.build.planning.reads import context_paths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\nRUN x", set()),
        ("FROM a\nCOPY x /y\nADD ./z/ b* /c/", {"x", "z", "b*"}),
        ("FROM a AS s\nCOPY x /\nFROM b\nCOPY --from=s /y /", {"x"}),
        ("FROM a\nCOPY <<E /f\ntext\nE", set()),
        ("FROM a\nCOPY ../up /", {"up"}),
        ("FROM a\nRUN --mount=type=bind,source=sub,target=/m x", {"sub"}),
        ("FROM a\nRUN --mount=type=cache,target=/m x", set()),
        ("FROM a\nRUN --mount=type=bind,from=s,target=/m x", set()),
        ("FROM a\nCOPY . /", None),
        ("FROM a\nCOPY / /", None),
        ("FROM a\nCOPY $X /", None),
        ("FROM a\nCOPY **/x /", None),
        ("FROM a\nCOPY a\\*b /", None),
        ("FROM a\nCOPY !x /", None),
        ('FROM a\nCOPY [" x", "/"]', None),
        ("FROM a\nRUN --mount=target=/m x", None),
        ("FROM a\nRUN --mount=type=bind,source=$X,target=/m x", None),
    ],
)
def test_the_paths_that_instructions_name(text: str, expected: set[str] | None) -> None:
    assert context_paths(parse(text)) == expected
