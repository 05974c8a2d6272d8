"""Times and durations as the Engine API writes them."""

from __future__ import annotations

import pytest

from dockwright.errors import Invalid
from dockwright.units import ago, parse_duration, parse_time, rfc3339

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (NOW, "2023-11-14T22:13:20Z"),
        (NOW + 1, "2023-11-14T22:13:20.000000001Z"),
        (NOW + 120_000_000, "2023-11-14T22:13:20.12Z"),
    ],
)
def test_times_are_written_and_read_back(time_ns: int, text: str) -> None:
    assert rfc3339(time_ns) == text
    if time_ns:
        assert parse_time(text, NOW) == time_ns


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1700000000", NOW),
        ("1700000000.5", NOW + SECOND // 2),
        ("1700000000.000000001", NOW + 1),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14", NOW - (22 * 3600 + 13 * 60 + 20) * SECOND),
        ("2023-11-14T22:13", NOW - 20 * SECOND),
        ("10m", NOW - 600 * SECOND),
        ("1h30m", NOW - 5400 * SECOND),
        ("-5s", NOW + 5 * SECOND),
    ],
)
def test_times_in_every_form(text: str, time_ns: int) -> None:
    assert parse_time(text, NOW) == time_ns


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2023-13-01", "1.2.3", "10", "5x"][:4] + ["5x", "2023-11-14T25:00:00Z"]
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(Invalid, match="failed to parse value as time or duration"):
        parse_time(text, NOW)


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("0", 0),
        ("1s", SECOND),
        ("1.5s", 1_500_000_000),
        ("1h2m3s", 3723 * SECOND),
        ("100ms", 100_000_000),
        ("1us", 1000),
        ("-2m", -120 * SECOND),
        (".5s", SECOND // 2),
    ],
)
def test_durations(text: str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (3 * 365 * 86400, "3 years"),
    ],
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert ago(seconds) == words
