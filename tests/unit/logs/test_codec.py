import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.logs.codec import Frames, JsonLines, format_time, parse_time
from dockwright.logs.record import Record

RECORDS = st.lists(
    st.builds(
        Record,
        st.sampled_from(["stdout", "stderr"]),
        st.integers(0, 4_000_000_000 * 10**9),
        st.text(max_size=50).map(lambda text: text.encode("utf-8", "replace")),
    )
)


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, b"1970-01-01T00:00:00Z"),
        (1_475_712_009_669_794_202, b"2016-10-06T00:00:09.669794202Z"),
        (1_475_712_009_669_000_000, b"2016-10-06T00:00:09.669Z"),
    ],
)
def test_times_are_written_and_read_as_go_does(time_ns: int, text: bytes) -> None:
    assert format_time(time_ns) == text
    assert parse_time(text) == time_ns


def test_a_time_with_a_zone_is_read() -> None:
    assert parse_time(b"2016-10-06T02:00:09.5+02:00") == 1_475_712_009_500_000_000


@pytest.mark.parametrize(
    "text", [b"", b"now", b"2016-10-06", b"2016-13-06T00:00:00Z", b"2016-10-06T00:00:00.1234567891Z"]
)
def test_what_is_no_time_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


def test_a_json_line_is_dockers() -> None:
    line = JsonLines({"com.example": "<x>"}).encode([Record("stdout", 1_475_712_009_669_794_202, b'a "b" & \xff\n')])
    assert line == (
        b'{"log":"a \\"b\\" \\u0026 \xef\xbf\xbd\\n","stream":"stdout","attrs":{"com.example":"\\u003cx\\u003e"},'
        b'"time":"2016-10-06T00:00:09.669794202Z"}\n'
    )
    assert json.loads(line)["log"] == 'a "b" & \ufffd\n'


@pytest.mark.parametrize("codec", [JsonLines(), Frames()])
@given(records=RECORDS, cut=st.integers(0, 200))
def test_what_is_written_is_read_and_an_unfinished_entry_waits(
    codec: JsonLines | Frames, records: list[Record], cut: int
) -> None:
    data = codec.encode(records)
    assert codec.decode(data) == (records, len(data))
    part, used = codec.decode(data[: max(0, len(data) - cut)])
    rest, _ = codec.decode(data[used:])
    assert part + rest == records


@pytest.mark.parametrize("codec", [JsonLines(), Frames()])
@given(records=RECORDS)
def test_entries_are_found_from_the_end(codec: JsonLines | Frames, records: list[Record]) -> None:
    data = codec.encode(records)
    starts = list(codec.last_starts(data, at_start=True))
    found = [codec.decode(data[start:])[0][0] for start in reversed(starts)]
    assert found == records


def test_a_damaged_json_line_is_stepped_over() -> None:
    good = JsonLines().encode([Record("stdout", 1, b"x\n")])
    assert JsonLines().decode(b'{"log": tor\n\0\0\0\n' + good)[0] == [Record("stdout", 1, b"x\n")]


@given(st.binary(max_size=200))
def test_garbage_never_raises(data: bytes) -> None:
    for codec in (JsonLines(), Frames()):
        codec.decode(data)
        list(codec.last_starts(data, at_start=True))
