"""The `filters` parameter and the version gates."""

from __future__ import annotations

import pytest

from dockwright.api import versions
from dockwright.api.filters import Filters
from dockwright.errors import Invalid


def test_both_forms_mean_the_same() -> None:
    for text in ('{"label": ["a", "b=c"]}', '{"label": {"a": true, "b=c": true, "d": false}}'):
        assert Filters.parse(text, ("label",)).get("label") == ["a", "b=c"]
    assert Filters.parse("", ("label",)).get("label") == []


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"colour": ["x"]}', '{"label": "a"}', '{"label": [1]}', "\x00"])
def test_bad_filters_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="invalid filter"):
        Filters.parse(text, ("label",))


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (["a"], True),
        (["a=1"], True),
        (["a", "b=2"], True),
        (["a=2"], False),
        (["c"], False),
        (["a", "c"], False),
        ([], True),
    ],
)
def test_labels(wanted: list[str], passes: bool) -> None:
    assert Filters({"label": wanted}).labels({"a": "1", "b": "2"}) is passes
    assert Filters({"label!": wanted}).no_labels({"a": "1", "b": "2"}) is not any(
        Filters({"label": [one]}).labels({"a": "1", "b": "2"}) for one in wanted
    )


def test_booleans() -> None:
    assert Filters({}).flag("dangling") is None
    assert Filters({"dangling": ["true"]}).flag("dangling") is True
    assert Filters({"dangling": ["0"]}).flag("dangling") is False
    with pytest.raises(Invalid):
        Filters({"dangling": ["perhaps"]}).flag("dangling")


@pytest.mark.parametrize(
    ("path", "version", "rest"),
    [
        ("/v1.24/info", (1, 24), "/info"),
        ("/info", versions.NEWEST, "/info"),
        ("/v1.51/a/b", (1, 51), "/a/b"),
        ("/v1/info", versions.NEWEST, "/v1/info"),
        ("/v1.99999/info", versions.NEWEST, "/v1.99999/info"),
    ],
)
def test_the_version_of_a_path(path: str, version: tuple[int, int], rest: str) -> None:
    assert versions.split(path) == (version, rest)
