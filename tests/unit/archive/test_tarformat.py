"""Tar headers, there and back."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.archive import tarformat as tar
from dockwright.archive.copy import go_mode
from dockwright.archive.reader import TarReader
from dockwright.archive.tarformat import Entry
from dockwright.errors import Corrupt, Invalid

names = st.binary(min_size=1, max_size=400).filter(lambda name: b"\0" not in name and b"\n" not in name)
entries = st.builds(
    Entry,
    name=names,
    kind=st.sampled_from([tar.REGULAR, tar.DIRECTORY, tar.SYMLINK, tar.HARDLINK, tar.FIFO]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    mtime_ns=st.integers(-(2**62), 2**62),
    target=names,
    xattrs=st.dictionaries(st.sampled_from([b"user.a", b"security.capability"]), st.binary(max_size=50)),
)


@given(entries, st.binary(max_size=1500))
def test_what_is_encoded_is_read_back(entry: Entry, content: bytes) -> None:
    if entry.kind == tar.REGULAR:
        entry.size, entry.target = len(content), b""
    else:
        content = b""
    archive = tar.encode(entry) + content + tar.padding(len(content)) + tar.END
    literal = bytearray()
    reader = TarReader(io.BytesIO(archive), literal.extend)
    (found,) = [(one, b"".join(bytes(piece) for piece in reader.data())) for one in reader.entries()]
    assert found == (entry, content)
    assert len(literal) + len(content) == len(archive)


@given(entries)
def test_python_reads_what_is_encoded(entry: Entry) -> None:
    entry.kind, entry.target = tar.SYMLINK, b"target"
    with tarfile.open(fileobj=io.BytesIO(tar.encode(entry) + tar.END), errors="surrogateescape") as archive:
        (found,) = archive
    assert (found.mode, found.uid, found.gid) == (entry.mode, entry.uid, entry.gid)


@pytest.mark.parametrize(
    ("name", "clean"),
    [(b"a/b", b"a/b"), (b"./a//b/", b"a/b"), (b"/a", b"a"), (b"a/../b", b"b"), (b".", b""), (b"", b""), (b"a/..", b"")],
)
def test_names_are_cleaned_as_text(name: bytes, clean: bytes) -> None:
    assert tar.checked_name(name) == clean


@pytest.mark.parametrize("name", [b"..", b"../a", b"a/../../b", b"/..", b"a\0b"])
def test_names_that_climb_out_are_invalid(name: bytes) -> None:
    with pytest.raises(Invalid):
        tar.checked_name(name)


@pytest.mark.parametrize(
    "record", [b"5 a=b\n", b"99 a=b\n", b"x a=b\n", b"6 a=b", b"5 ab\n\n", b"-1 a=b\n", b"0 a=b\n", b"6 path\n"]
)
def test_malformed_pax_records_are_corrupt(record: bytes) -> None:
    with pytest.raises(Corrupt):
        tar.parse_pax(record, tar.Overrides())


def test_negative_and_huge_numbers_of_gnu_are_read() -> None:
    info = tarfile.TarInfo("x")
    info.mtime, info.size, info.uid = -5, 2**40, 2**30
    found = tar.parse_header(info.tobuf(format=tarfile.GNU_FORMAT))
    assert found is not None
    assert (found.mtime_ns, found.size, found.uid) == (-5 * 10**9, 2**40, 2**30)


@given(st.binary(min_size=512, max_size=512))
def test_any_block_is_a_header_or_corrupt(block: bytes) -> None:
    with pytest.raises(Corrupt):
        tar.parse_header(block.replace(b"\0", b"\1"))


@pytest.mark.parametrize(
    ("mode", "go"),
    [
        (0o100644, 0o644),
        (0o040755, 1 << 31 | 0o755),
        (0o120777, 1 << 27 | 0o777),
        (0o020666, 1 << 26 | 1 << 21 | 0o666),
        (0o060660, 1 << 26 | 0o660),
        (0o010600, 1 << 25 | 0o600),
        (0o140755, 1 << 24 | 0o755),
        (0o106755, 1 << 23 | 1 << 22 | 0o755),
        (0o041777, 1 << 31 | 1 << 20 | 0o777),
    ],
)
def test_modes_are_told_as_go_does(mode: int, go: int) -> None:
    assert go_mode(mode) == go
