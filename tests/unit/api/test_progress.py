"""Messages of a pull as dockerd words them."""

from __future__ import annotations

import pytest

from dockwright.api.render.progress import bar, message
from dockwright.image import Progress


@pytest.mark.parametrize(
    ("current", "total", "text"),
    [
        (0, 1000, "[>" + " " * 50 + "]       0B/1kB"),
        (500, 1000, "[" + "=" * 25 + ">" + " " * 25 + "]     500B/1kB"),
        (1000, 1000, "[" + "=" * 50 + ">]      1kB/1kB"),
        (32_768, 2_140_160, "[>" + " " * 50 + "]  32.77kB/2.14MB"),
        (123_456_789, 0, " 123.5MB"),
        (2000, 1000, "     2kB"),
    ],
)
def test_a_bar_is_dockerds(current: int, total: int, text: str) -> None:
    assert bar(current, total) == text


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Progress("Pulling from library/x", "latest"), {"status": "Pulling from library/x", "id": "latest"}),
        (Progress("Already exists", "aaaa"), {"status": "Already exists", "progressDetail": {}, "id": "aaaa"}),
        (Progress("Status: done"), {"status": "Status: done"}),
        (Progress("", aux={"Tag": "1"}), {"progressDetail": {}, "aux": {"Tag": "1"}}),
        (
            Progress("Extracting", "aaaa", 5, None),
            {"status": "Extracting", "progressDetail": {"current": 5}, "progress": "      5B", "id": "aaaa"},
        ),
    ],
)
def test_a_message_has_the_fields_dockerd_gives_it(step: Progress, expected: dict[str, object]) -> None:
    assert message(step) == expected


def test_what_is_counted_has_numbers_and_a_bar() -> None:
    found = message(Progress("Downloading", "aaaa", 1, 2))
    assert found["progressDetail"] == {"current": 1, "total": 2}
    assert str(found["progress"]).startswith("[=")
