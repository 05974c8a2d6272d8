"""Filters as containerd writes them, over fields."""

from __future__ import annotations

import pytest

from dockwright.api.buildkit import filters
from dockwright.errors import Invalid

FIELDS = {
    "id": "abcdef",
    "type": "regular",
    "inuse": None,
    "private": "true",
    "labels.a.b": "x,y",
    "description": "RUN a",
}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], True),
        ([""], True),
        (["type==regular"], True),
        (["type!=regular"], False),
        (["type==other", "id~=^abc"], True),
        (["type==regular,id~=^bc"], False),
        (["private"], True),
        (["inuse"], False),
        (["type==regular,private"], True),
        (['labels."a.b"=="x,y"'], True),
        (["labels.a.b~=/x,y/"], True),
        (["labels.a.b~=|x.y|,private"], True),
        (["description~==RUN a"], True),
        (['description=="RUN \\a"'], True),
        (["missing==x"], False),
        (["missing!=x"], True),
        ([" type == regular , private "], True),
    ],
)
def test_filters_choose(texts: list[str], expected: bool) -> None:
    assert filters.parse(texts)(FIELDS) is expected


@pytest.mark.parametrize("text", ["==x", "type=regular", "id~=(", 'a=="x', "duration>3", "a b"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="filter"):
        filters.parse([text])


def test_times_are_compared() -> None:
    assert filters.conditions("duration>=3s,ref==a") == [("duration", ">=", "3s"), ("ref", "==", "a")]
