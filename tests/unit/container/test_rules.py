"""The pure rules of a container's life, as tables."""

from __future__ import annotations

import pytest

from dockwright.container import names, restart, state
from dockwright.container.config import RestartPolicy
from dockwright.container.detach import DEFAULT, Detector, parse
from dockwright.container.signals import parse_signal
from dockwright.container.state import Status
from dockwright.errors import Conflict, Invalid, NotModified


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", DEFAULT),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-a,d", b"\x01d"),
        ("ctrl-@", b"\x00"),
        ("ctrl-[", b"\x1b"),
    ],
)
def test_detach_keys_are_parsed(text: str, keys: bytes) -> None:
    assert parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "a,,b", "ctrl-pp", "é"])
def test_detach_keys_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="invalid detach keys"):
        parse(text)


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"ls\r"], b"ls\r", False),
        ([b"\x10\x11"], b"", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"a\x10", b"b"], b"a\x10b", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"x\x10\x11ignored"], b"x", True),
    ],
)
def test_the_sequence_is_found_across_pieces_and_passes_on_all_else(
    typed: list[bytes], passed: bytes, detached: bool
) -> None:
    detector = Detector(DEFAULT)
    found = [detector.feed(piece) for piece in typed]
    assert b"".join(data for data, _ in found) == passed
    assert found[-1][1] is detached


@pytest.mark.parametrize(
    ("policy", "code", "restarts", "by_hand", "expected"),
    [
        (RestartPolicy(name="no"), 1, 0, False, False),
        (RestartPolicy(name=""), 1, 0, False, False),
        (RestartPolicy(name="always"), 0, 50, False, True),
        (RestartPolicy(name="always"), 0, 0, True, False),
        (RestartPolicy(name="unless-stopped"), 0, 0, False, True),
        (RestartPolicy(name="on-failure"), 0, 0, False, False),
        (RestartPolicy(name="on-failure"), 1, 99, False, True),
        (RestartPolicy(name="on-failure", maximum_retry_count=3), 1, 2, False, True),
        (RestartPolicy(name="on-failure", maximum_retry_count=3), 1, 3, False, False),
    ],
)
def test_restart_policies(policy: RestartPolicy, code: int, restarts: int, by_hand: bool, expected: bool) -> None:
    assert restart.again(policy, code, restarts, by_hand) is expected


def test_always_comes_back_with_the_daemon_even_after_a_stop_by_hand_and_unless_stopped_does_not() -> None:
    assert restart.at_daemon_start(RestartPolicy(name="always"), 0, 0, True, True)
    assert not restart.at_daemon_start(RestartPolicy(name="unless-stopped"), 0, 0, True, True)
    assert not restart.at_daemon_start(RestartPolicy(name="always"), 0, 0, False, False)


def test_the_back_off_doubles_up_to_a_minute_and_starts_over_after_a_steady_run() -> None:
    delays, delay = [], 0.0
    for _ in range(12):
        delay = restart.next_delay_s(delay, 0.5)
        delays.append(delay)
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == 60.0
    assert restart.next_delay_s(60.0, 11.0) == 0.1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9", 9),
        ("KILL", 9),
        ("SIGKILL", 9),
        ("sigterm", 15),
        ("HUP", 1),
        ("RTMIN", 34),
        ("RTMIN+3", 37),
        ("RTMAX-1", 63),
    ],
)
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["0", "65", "SIGNOPE", "", "-9", "RTMIN+99", "9x"])
def test_signals_that_are_none(text: str) -> None:
    with pytest.raises(Invalid, match="invalid signal"):
        parse_signal(text)


@pytest.mark.parametrize("name", ["ab", "web-1", "a_b.c", "0a", "/slash"])
def test_names_that_are_allowed(name: str) -> None:
    assert names.validate(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["a", "-ab", "a b", "ä1", "a/b", "", "x" * 5000])
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(Invalid, match="Invalid container name"):
        names.validate(name)


def test_generated_names_are_valid_and_differ() -> None:
    found = {names.generate(attempt) for attempt in range(50)}
    assert len(found) > 30
    assert all(names.validate(name) == name for name in found)


@pytest.mark.parametrize(
    ("verb", "status", "error"),
    [
        ("start", Status.RUNNING, NotModified),
        ("start", Status.PAUSED, Conflict),
        ("start", Status.REMOVING, Conflict),
        ("stop", Status.EXITED, NotModified),
        ("stop", Status.CREATED, NotModified),
        ("kill", Status.EXITED, Conflict),
        ("pause", Status.PAUSED, Conflict),
        ("pause", Status.EXITED, Conflict),
        ("unpause", Status.RUNNING, Conflict),
        ("exec", Status.PAUSED, Conflict),
        ("exec", Status.RESTARTING, Conflict),
        ("top", Status.CREATED, Conflict),
        ("rename", Status.REMOVING, Conflict),
    ],
)
def test_verbs_that_a_state_does_not_allow(verb: str, status: Status, error: type[Exception]) -> None:
    with pytest.raises(error):
        state.check(verb, status, "c")


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("start", Status.CREATED),
        ("start", Status.EXITED),
        ("stop", Status.PAUSED),
        ("kill", Status.PAUSED),
        ("unpause", Status.PAUSED),
        ("top", Status.PAUSED),
        ("update", Status.EXITED),
    ],
)
def test_verbs_that_a_state_allows(verb: str, status: Status) -> None:
    state.check(verb, status, "c")
