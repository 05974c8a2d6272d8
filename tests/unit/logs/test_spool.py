from hypothesis import given
from hypothesis import strategies as st

from dockwright.logs.record import PIECE_BYTES, Mark, Record
from dockwright.logs.spool import Assembler, Place, Position

STAMP = b"2016-10-06T00:17:09.669794202+00:00"
STAMP_NS = 1_475_713_029_669_794_202
READ = 8192


def conmon(writes: list[tuple[str, bytes]]) -> bytes:
    """What conmon 2.1 writes for these reads of the container's pipes."""
    lines = []
    for stream, data in writes:
        for start in range(0, len(data), READ):
            for line in split(data[start : start + READ]):
                whole = line.endswith(b"\n")
                lines.append(
                    b"%b %b %b %b\n" % (STAMP, stream.encode(), b"F" if whole else b"P", line.removesuffix(b"\n"))
                )
    return b"".join(lines)


def split(data: bytes) -> list[bytes]:
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def output(records: list[Record], stream: str) -> bytes:
    return b"".join(record.data for record in records if record.stream == stream)


def test_whole_lines_become_records() -> None:
    records, _ = Assembler(Position()).feed(conmon([("stdout", b"one\ntwo\n"), ("stderr", b"three\n")]))
    assert records == [
        Record("stdout", STAMP_NS, b"one\n"),
        Record("stdout", STAMP_NS, b"two\n"),
        Record("stderr", STAMP_NS, b"three\n"),
    ]


def test_pieces_of_a_line_are_joined_across_the_other_stream() -> None:
    records, _ = Assembler(Position()).feed(conmon([("stdout", b"on"), ("stderr", b"x\n"), ("stdout", b"e\n")]))
    assert [record.data for record in records] == [b"x\n", b"one\n"]


def test_a_long_line_is_cut_into_pieces_of_16_kib() -> None:
    records, _ = Assembler(Position()).feed(conmon([("stdout", b"x" * 40_000 + b"\n")]))
    assert [len(record.data) for record in records] == [PIECE_BYTES, PIECE_BYTES, 40_001 - 2 * PIECE_BYTES]
    assert [record.partial for record in records] == [True, True, False]


def test_a_piece_does_not_end_inside_a_character() -> None:
    text = ("a" + "ü" * 30_000 + "\n").encode()
    records, _ = Assembler(Position()).feed(conmon([("stdout", text)]))
    assert "".join(record.data.decode() for record in records) == text.decode()


def test_an_incomplete_last_line_is_left_over() -> None:
    assembler = Assembler(Position())
    records, _ = assembler.feed(conmon([("stdout", b"prompt> ")]))
    assert records == []
    assert assembler.leftover() == [Record("stdout", STAMP_NS, b"prompt> ")]


def test_damaged_lines_are_stepped_over() -> None:
    data = b"\0\0\0\nnonsense stdout F x\n" + conmon([("stdout", b"good\n")])
    assert [record.data for record in Assembler(Position()).feed(data)[0]] == [b"good\n"]


def test_a_damaged_spool_without_a_newline_is_stepped_over() -> None:
    assembler = Assembler(Position())
    assert assembler.feed(b"x" * 200_000) == ([], 200_000)


@given(
    writes=st.lists(
        st.tuples(
            st.sampled_from(["stdout", "stderr"]),
            st.one_of(
                st.binary(min_size=1, max_size=30),
                st.integers(1, 60_000).map(lambda size: b"y" * size),
                st.integers(1, 30_000).map(lambda size: b"\xc3\xbc" * size + b"\n"),
            ),
        ),
        max_size=8,
    ),
    cuts=st.lists(st.integers(1, 70_000), max_size=8),
    restarts=st.sets(st.integers(0, 30)),
)
def test_nothing_is_lost_or_doubled_wherever_a_daemon_dies(
    writes: list[tuple[str, bytes]], cuts: list[int], restarts: set[int]
) -> None:
    spool = conmon(writes)
    position = Position()
    assembler = Assembler(position)
    records: list[Record] = []
    end = 0
    for step in range(40):
        end = min(len(spool), end + (cuts[step % len(cuts)] if cuts else 5000))
        if step == 39:
            end = len(spool)
        found, _ = assembler.feed(spool[assembler.offset : end])
        records += found
        position = Position.unpack(Position(7, assembler.places(), Mark(1, 2)).pack()) or Position()
        if step in restarts:
            assembler = Assembler(position)
    records += assembler.feed(spool[assembler.offset :])[0]
    records += assembler.leftover()
    for stream in ("stdout", "stderr"):
        assert output(records, stream) == b"".join(data for name, data in writes if name == stream)


def test_a_position_is_read_back_and_a_damaged_one_is_not() -> None:
    position = Position(5, {"stdout": Place(10, 3), "stderr": Place(7)}, Mark(8, 9), True)
    assert Position.unpack(position.pack()) == position
    assert Position.unpack(position.pack()[:-1]) is None
    assert Position.unpack(b"\0" * len(position.pack())) is None
    assert Position.unpack(b"") is None
