"""Hostile layers by way of `load`: whatever an image says, nothing outside of its own directory is touched.

`tests/engine/archive/test_layers.py` has the same for one layer alone; here they are whole images, whose layers meet."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
import zstandard
from tests.archives import files, member, stream, tar_of
from tests.engine.archive.test_layers import CONFINED, HOSTILE
from tests.engine.image.conftest import Host
from tests.engine.image.test_transport import docker_archive, empty, loaded

from dockwright.errors import Corrupt, Invalid

pytestmark = pytest.mark.root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


def fingerprint(*trees: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for tree in trees:
        for path in [tree, *sorted(tree.rglob("*"))]:
            at = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(at.st_mode) else b""
            found.append((path, at.st_mode, at.st_uid, at.st_nlink, at.st_mtime_ns, content))
    return found


# Each is a list of layers. `OUT` in a target or name is a directory beside the data root.
MEETING = {
    "a directory that becomes a link": [
        [member("d", kind="dir"), member("d/keep", b"1")],
        [member("d", kind="link", linkname="OUT")],
        [member("d/evil", b"x"), member("d/.wh.secret", b"")],
    ],
    "a link that the next layer writes through": [
        [member("d", kind="link", linkname="OUT")],
        [member("d/evil", b"x")],
    ],
    "a chain of links over three layers": [
        [member("a", kind="link", linkname="b/c")],
        [member("b", kind="link", linkname="/")],
        [member("c", kind="link", linkname="OUT"), member("a/evil", b"x")],
    ],
    "a whiteout through a link of the layer below": [
        [member("d", kind="link", linkname="OUT")],
        [member("d/.wh.secret", b"")],
    ],
    "an opaque mark through a link of the layer below": [
        [member("d", kind="link", linkname="OUT")],
        [member("d/.wh..wh..opq", b"")],
    ],
    "a hard link through a link of the layer below": [
        [member("d", kind="link", linkname="OUT")],
        [member("h", kind="hard", linkname="d/secret"), member("h", b"overwritten")],
    ],
    "a file over a link": [
        [member("f", kind="link", linkname="OUT/secret")],
        [member("f", b"overwritten")],
    ],
    "a link and a directory over it": [
        [member("d", kind="link", linkname="OUT")],
        [member("d", kind="dir", mode=0o777), member("d/evil", b"x")],
    ],
    "a device and a file over it": [
        [member("d", kind="chr", devmajor=1, devminor=1)],
        [member("d", b"x" * 5000)],
    ],
    "a whiteout file and something below it": [
        [member("d", kind="dir"), member("d/f", b"1")],
        [member(".wh.d", b""), member("d/../../OUT/evil", b"x")],
    ],
    "an implied directory where a link is": [
        [member("usr", kind="link", linkname="OUT")],
        [member("usr/share/deep/evil", b"x")],
    ],
    "overlayfs' own marks": [
        [
            member("d", kind="dir", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "OUT"}),
            member("m", b"", pax_headers={"SCHILY.xattr.trusted.overlay.metacopy": ""}),
        ],
        [member("d/x", b"x")],
    ],
}


def at(outside: Path, layers: list[list[tuple[tarfile.TarInfo, bytes]]]) -> list[bytes]:
    import copy

    made = []
    for layer in layers:
        entries = [(copy.copy(info), content) for info, content in layer]
        for info, _ in entries:
            info.name = info.name.replace("OUT", str(outside))
            info.linkname = info.linkname.replace("OUT", str(outside)).replace("/outside", str(outside))
            info.pax_headers = {key: value.replace("OUT", str(outside)) for key, value in info.pax_headers.items()}
        made.append(tar_of(*entries))
    return made


@pytest.mark.parametrize("climb", [False, True], ids=["absolute", "climbing"])
@pytest.mark.parametrize("name", MEETING)
async def test_layers_that_meet_stay_inside(host: Host, outside: Path, tmp_path: Path, name: str, climb: bool) -> None:
    before = fingerprint(outside)
    target = Path("../" * 30 + str(outside)[1:]) if climb else outside
    archive = docker_archive(at(target, MEETING[name]))
    try:
        await loaded(host, archive)
    except Invalid:
        await host.snapshots.settled()
        assert empty(host)
    else:
        assert await host.files("old:1") is not None
        await host.images.remove("old:1")
        await host.images.remove("old:2")
    assert fingerprint(outside) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "root"]


@pytest.mark.parametrize("name", HOSTILE | CONFINED)
async def test_one_hostile_layer_stays_inside(host: Host, outside: Path, tmp_path: Path, name: str) -> None:
    before = fingerprint(outside)
    (layer,) = at(outside, [(HOSTILE | CONFINED)[name]])
    try:
        await loaded(host, docker_archive([files({"base": "1"}), layer]))
    except (Invalid, Corrupt):
        assert name in HOSTILE
        await host.snapshots.settled()
        assert empty(host)
    else:
        assert name not in HOSTILE
    assert fingerprint(outside) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "root"]


async def test_device_nodes_are_only_names(host: Host) -> None:
    layer = tar_of(
        member("disk", kind="chr", devmajor=1, devminor=1, mode=0o666),
        member("fifo", kind="fifo"),
        member("big", b"x" * 70_000),
    )
    await loaded(host, docker_archive([layer]))
    async with host.mounted((await host.images.resolve("old:1")).snapshot) as root:
        assert stat.S_ISCHR((root / "disk").lstat().st_mode)
    await host.snapshots.remove("work")


def zeros(size: int) -> bytes:
    """A zstd-compressed layer with one file of `size` zeros."""
    header = tarfile.TarInfo("zeros")
    header.size = size
    compressor = zstandard.ZstdCompressor().compressobj()
    packed = compressor.compress(header.tobuf())
    for _ in range(size // 2**24):
        packed += compressor.compress(bytes(2**24))
    return packed + compressor.compress(bytes(1024)) + compressor.flush()


def diff_id(packed: bytes) -> str:
    state = hashlib.sha256()
    for chunk in zstandard.ZstdDecompressor().read_to_iter(packed):
        state.update(chunk)
    return "sha256:" + state.hexdigest()


async def test_a_bomb_of_zeros_takes_no_room(host: Host) -> None:
    packed = zeros(1 << 30)
    await loaded(host, docker_archive([packed], [diff_id(packed)]))
    assert (await host.images.disk_usage()).layers_size < 1 << 20


async def test_a_sparse_bomb_takes_no_room(host: Host, tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "tree").mkdir()
    with open(tmp_path / "tree/huge", "wb") as file:
        file.truncate(1 << 40)
    subprocess.run(["tar", "--format=posix", "-S", "-cf", tmp_path / "x.tar", "-C", tmp_path / "tree", "."], check=True)
    await loaded(host, docker_archive([(tmp_path / "x.tar").read_bytes()]))
    async with host.mounted((await host.images.resolve("old:1")).snapshot) as root:
        assert (root / "huge").stat().st_size == 1 << 40
    await host.snapshots.remove("work")
    assert (await host.images.disk_usage()).layers_size < 1 << 20


async def test_a_gzip_bomb_within_an_archive_costs_one_pass_and_no_room(host: Host) -> None:
    """The archive itself is compressed, and so is the layer in it."""
    packed = zeros(1 << 28)
    archive = docker_archive([packed], [diff_id(packed)])
    await loaded(host, gzip.compress(archive))
    assert (await host.images.disk_usage()).layers_size < 1 << 20


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME], ids=["pax", "global", "long name"]
)
async def test_a_gigabyte_of_headers_is_refused_before_it_is_read(host: Host, kind: bytes) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 1 << 30
    read = 0

    async def endless() -> object:
        nonlocal read
        yield header.tobuf(format=tarfile.GNU_FORMAT)
        while read < 1 << 30:
            read += 1 << 20
            yield bytes(1 << 20)

    with pytest.raises(Corrupt, match="limit"):
        async for _ in host.images.load(endless()):  # type: ignore[arg-type]
            pass
    assert read < 1 << 25
    layer = header.tobuf(format=tarfile.GNU_FORMAT) + bytes(1 << 20)
    with pytest.raises(Corrupt, match="limit"):
        await loaded(host, docker_archive([layer]))
    await host.snapshots.settled()
    assert empty(host)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE], ids=["pax", "global"])
async def test_many_small_headers_are_bounded_too(host: Host, kind: bytes) -> None:
    """Extension headers that pile up before one entry, and defaults that grow with each global header."""
    out = io.BytesIO()
    for number in range(200):
        body = b"".join(b"1000 " + b"k%06d=" % (number * 20 + at) + b"v" * 986 + b"\n" for at in range(20))
        header = tarfile.TarInfo("g")
        header.type, header.size = kind, len(body)
        out.write(header.tobuf() + body + bytes(-len(body) % 512))
    out.write(member("x", b"")[0].tobuf() + bytes(1024))
    with pytest.raises(Corrupt, match="limit"):
        await loaded(host, docker_archive([out.getvalue()]))


async def test_more_files_than_an_archive_may_have_are_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from dockwright.image import spooling

    monkeypatch.setattr(spooling, "_FILES", 50)
    with pytest.raises(Invalid, match="more than 50 files"):
        await loaded(host, tar_of(*(member(str(number), b"x") for number in range(60))))
    await host.snapshots.settled()
    assert empty(host)


async def test_very_many_entries_are_read_in_bounded_memory(host: Host) -> None:
    """Of the layer one name again and again: entries, not inodes, are what is many."""
    import resource

    layer = (member("./", kind="dir")[0].tobuf() * 150_000) + member("x", b"")[0].tobuf() + bytes(1024)
    packed = gzip.compress(layer, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await loaded(host, docker_archive([packed], ["sha256:" + hashlib.sha256(layer).hexdigest()]))
    assert list(await host.files("old:1")) == ["x"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


async def test_more_entries_than_a_layer_may_have_are_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from dockwright.archive import unpack

    monkeypatch.setattr(unpack, "ENTRY_LIMIT", 100)
    with pytest.raises(Invalid, match="more than 100 entries"):
        await loaded(host, docker_archive([tar_of(*(member(str(number), b"") for number in range(101)))]))
    await host.snapshots.settled()
    assert empty(host)


async def test_an_import_is_confined_as_a_load_is(host: Host, outside: Path) -> None:
    before = fingerprint(outside)
    for name, entries in (HOSTILE | CONFINED).items():
        (tar,) = at(outside, [entries])
        try:
            await host.images.import_(stream(tar), "x")
        except (Invalid, Corrupt):
            assert name in HOSTILE or name == "hard link to a link to outside"
    assert fingerprint(outside) == before
    assert os.listdir(outside) == ["secret"]
