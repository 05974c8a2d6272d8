"""Transfer of file trees between two ends of a connection, as builds send their contexts."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpclib.server import Stream

from dockwright import workers
from dockwright.archive import Root
from dockwright.buildkit.connection import Caller, Served
from dockwright.buildkit.errors import answering
from dockwright.buildkit.filesync import Filter, Received, Wanted, receive, send
from dockwright.buildkit.proto.filesync_grpc import FileSyncBase, FileSyncStub
from dockwright.buildkit.proto.fsutil_pb2 import Packet, Stat
from dockwright.errors import Invalid, Unavailable

CONTEXT = Wanted("context")


@dataclass
class Provider(FileSyncBase):
    """Sends one directory, as a build's client does."""

    root: Path

    @answering
    async def DiffCopy(self, stream: Stream[Packet, Packet]) -> None:
        wanted = Wanted.of(stream.metadata or {})
        await send(stream, self.root, await workers.quick(_filter, self.root, wanted))


class Liar(FileSyncBase):
    """Tells whatever it was given."""

    def __init__(self, packets: list[Packet]) -> None:
        self._packets = packets

    async def DiffCopy(self, stream: Stream[Packet, Packet]) -> None:
        for packet in self._packets:
            await stream.send_message(packet)
        while await stream.recv_message() is not None:
            pass


def _filter(root: Path, wanted: Wanted) -> Filter:
    with Root(root) as opened:
        return Filter.of(opened, wanted)


@asynccontextmanager
async def connected(service: Any) -> AsyncIterator[FileSyncStub]:
    """The service behind one end of a socket pair, and its caller at the other."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    near_transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
    far_transport, _ = await loop.create_connection(asyncio.Protocol, sock=far)
    served = Served(far_transport, [service])
    caller = Caller(near_transport)
    try:
        yield FileSyncStub(caller)
    finally:
        caller.close()
        await served.wait()


async def fetch(stub: FileSyncStub, folder: Path, wanted: Wanted = CONTEXT) -> Received:
    async with stub.DiffCopy.open(metadata=wanted.metadata()) as stream:
        await stream.send_request()
        return await receive(stream, folder, end=stream.end)


def looks(root: Path) -> dict[str, object]:
    """Everything below a directory: kind and permissions, time, content."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (oct(status.st_mode), status.st_mtime_ns, content)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "a/deep/er").mkdir(parents=True)
    (root / "a-b").mkdir()
    (root / "a/file").write_text("hello")
    (root / "a/deep/er/empty").touch()
    (root / "a-b/script").write_text("#!/bin/sh\n")
    (root / "a-b/script").chmod(0o4755)
    (root / "big").write_bytes(os.urandom(300_000))
    (root / "ümlaut").write_text("ü")
    (root / "link").symlink_to("a/file")
    (root / "absolute").symlink_to("/etc/passwd")
    os.link(root / "a/file", root / "second")
    os.mkfifo(root / "pipe")
    return root


async def test_a_tree_arrives_as_it_was(tree: Path, tmp_path: Path) -> None:
    async with connected(Provider(tree)) as stub:
        received = await fetch(stub, tmp_path / "kept")
    assert looks(tmp_path / "kept/fs") == looks(tree)
    assert received.files == 5
    assert (tmp_path / "kept/fs/second").stat().st_ino == (tmp_path / "kept/fs/a/file").stat().st_ino
    assert not list((tmp_path / "kept/incoming").iterdir())


async def test_the_second_transfer_sends_only_what_changed(tree: Path, tmp_path: Path) -> None:
    (tree / "second").unlink()
    async with connected(Provider(tree)) as stub:
        await fetch(stub, tmp_path / "kept")
        assert (await fetch(stub, tmp_path / "kept")).files == 0
        (tree / "a/file").write_text("changed")
        (tree / "big").unlink()
        (tree / "a-b/script").unlink()
        (tree / "a-b").rmdir()
        (tree / "a-b").write_text("a file now")
        (tree / "link").unlink()
        (tree / "link").mkdir()
        assert (await fetch(stub, tmp_path / "kept")).files == 2
    assert looks(tmp_path / "kept/fs") == looks(tree)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted("c", exclude=("a",)), {"a-b", "a-b/script", "absolute", "big", "link", "pipe", "second", "ümlaut"}),
        (Wanted("c", exclude=("*", "!a/deep")), {"a", "a/deep", "a/deep/er", "a/deep/er/empty"}),
        (Wanted("c", include=("a/deep/**",)), {"a", "a/deep", "a/deep/er", "a/deep/er/empty"}),
        (Wanted("c", include=("**/script",)), {"a-b", "a-b/script"}),
        (Wanted("c", follow=("link",)), {"link", "a", "a/file"}),
        (Wanted("c", follow=("li*", "missing")), {"link", "a", "a/file"}),
        (Wanted("c", follow=("ümlaut",)), {"ümlaut"}),
        (Wanted("c", include=("nothing",)), set()),
    ],
    ids=str,
)
async def test_a_receiver_gets_only_what_it_wants(wanted: Wanted, names: set[str], tree: Path, tmp_path: Path) -> None:
    async with connected(Provider(tree)) as stub:
        await fetch(stub, tmp_path / "kept", wanted)
    assert set(looks(tmp_path / "kept/fs")) == names


def entry(path: str, mode: int = 0o644, **more: Any) -> Packet:
    return Packet(type=Packet.PACKET_STAT, stat=Stat(path=path, mode=mode, **more))


@pytest.mark.parametrize(
    "packets",
    [
        [entry("../out")],
        [entry("/etc/passwd")],
        [entry("..")],
        [entry("missing/file")],
        [entry("link", 1 << 27 | 0o777, linkname="/etc"), entry("link/passwd")],
        [entry("b"), entry("a")],
        [entry("a"), entry("a")],
        [entry("a/./b")],
        [entry("second", linkname="/etc/shadow")],
        [entry("nul\0")],
        [Packet(type=Packet.PACKET_DATA, ID=1, data=b"x")],
        [entry("f"), Packet(type=Packet.PACKET_STAT), Packet(type=Packet.PACKET_DATA, ID=7, data=b"x")],
    ],
    ids=lambda packets: str(packets[-1]).replace("\n", " ")[:60],
)
async def test_a_sender_that_lies_is_refused(packets: list[Packet], tmp_path: Path) -> None:
    async with connected(Liar(packets)) as stub:
        with pytest.raises(Invalid):
            await fetch(stub, tmp_path / "kept")


async def test_what_the_sender_complains_about_is_told(tmp_path: Path) -> None:
    async with connected(Liar([Packet(type=Packet.PACKET_ERR, data=b"no such thing")])) as stub:
        with pytest.raises(Unavailable, match="no such thing"):
            await fetch(stub, tmp_path / "kept")


async def test_a_transfer_that_broke_off_is_made_right_by_the_next(tree: Path, tmp_path: Path) -> None:
    cut = [entry("a", 1 << 31 | 0o755), entry("big", size=4), Packet(type=Packet.PACKET_STAT)]
    async with connected(Liar([*cut, Packet(type=Packet.PACKET_ERR, data=b"gone")])) as stub:
        with pytest.raises(Unavailable):
            await fetch(stub, tmp_path / "kept")
    async with connected(Provider(tree)) as stub:
        await fetch(stub, tmp_path / "kept")
    assert looks(tmp_path / "kept/fs") == looks(tree)


def test_modes_are_those_of_go() -> None:
    from dockwright.buildkit.filesync import modes

    assert modes.to_go(stat.S_IFDIR | 0o1777) == 1 << 31 | 1 << 20 | 0o777
    assert modes.to_go(stat.S_IFCHR | 0o600) == 1 << 26 | 1 << 21 | 0o600
    assert modes.permissions(modes.to_go(stat.S_IFREG | 0o6711)) == 0o6711
