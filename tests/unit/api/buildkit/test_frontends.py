"""Which frontends there are."""

from __future__ import annotations

import pytest

from dockwright.api.buildkit.frontends import check_syntax
from dockwright.build.dockerfile import parse
from dockwright.errors import Invalid, Unsupported

PLAIN, OTHER = "FROM a\n", "# syntax=someone/else:1\nFROM a\n"


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        (PLAIN, ""),
        ("# syntax=docker/dockerfile:1\nFROM a\n", ""),
        ("# syntax=docker/dockerfile-upstream:master\nFROM a\n", ""),
        (PLAIN, "docker/dockerfile:1-labs"),
        (OTHER, "docker/dockerfile:1"),
        (OTHER, "dockerfile.v0"),
    ],
)
def test_the_dockerfiles_own_frontend_is_there(text: str, argument: str) -> None:
    check_syntax(parse(text), {"BUILDKIT_SYNTAX": argument} if argument else {})


def test_others_are_refused() -> None:
    with pytest.raises(Invalid, match="someone/else:1"):
        check_syntax(parse(OTHER), {})
    with pytest.raises(Unsupported, match="someone/other"):
        check_syntax(parse(PLAIN), {"BUILDKIT_SYNTAX": "someone/other"})
