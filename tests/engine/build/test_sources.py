"""ADD of repositories and addresses, contexts by address and by name."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests import archives
from tests.engine.build.conftest import Bench
from tests.repositories import COMMIT_TIME, Repository, Server
from tests.webserver import Exchange, WebServer

from dockwright.build import BuildRequest, Context, HostLender
from dockwright.build.lending.lenders import LendsNothing
from dockwright.errors import Corrupt, DockwrightError, Forbidden, Invalid, NotFound, Unauthorized, Unavailable

pytestmark = pytest.mark.root

SHOW = ("sh", "-c", "cd /d && find . -path ./.git -prune -o -type f -exec stat -c '%n %a %u:%g' {} + | sort")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A server with one repository, `r`: main, a branch with another file, and a tag on the first commit."""
    with Server() as server:
        server.repositories["r"] = one = Repository(tmp_path / "r")
        one.commit({"a.txt": "first", "run.sh": "true", "sub/b.txt": "b"}, tag="v1")
        one.git("checkout", "-q", "-b", "other")
        one.commit({"other.txt": "o"})
        one.git("checkout", "-q", "main")
        one.commit({"a.txt": "second"})
        yield server


class Files:
    """What a server of plain files has."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}

    def answer(self, exchange: Exchange) -> None:
        content, headers = self.content.get(exchange.path), self.headers.get(exchange.path, {})
        if content is None:
            exchange.send(404)
        elif headers.get("ETag", "") and exchange.headers.get("If-None-Match") == headers["ETag"]:
            exchange.send(304)
        elif headers.get("Authorization") and exchange.headers.get("Authorization") != headers["Authorization"]:
            exchange.send(401)
        else:
            exchange.send(200, headers, content)


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def web(files: Files) -> Iterator[WebServer]:
    with WebServer(files.answer) as server:
        yield server


async def test_a_repository_is_added(bench: Bench, served: Server) -> None:
    url = served.address("r")
    outcome = await bench.build(f"FROM busybox\nADD {url} /d\n")
    assert await bench.output(outcome.image_id, *SHOW) == "./a.txt 644 0:0\n./run.sh 755 0:0\n./sub/b.txt 644 0:0\n"
    assert await bench.output(outcome.image_id, "cat", "/d/a.txt") == "second"
    before = len(served.asked("POST .*git-upload-pack"))
    assert all((await bench.build(f"FROM busybox\nADD {url} /d\n")).cached.values())
    assert len(served.asked("POST .*git-upload-pack")) - before <= 1, "it is asked what the branch is, nothing else"
    served.repositories["r"].commit({"a.txt": "third"})
    again = await bench.build(f"FROM busybox\nADD {url} /d\n")
    assert await bench.output(again.image_id, "cat", "/d/a.txt") == "third"


@pytest.mark.parametrize(
    ("fragment", "shown"),
    [
        ("#v1", "first"),
        ("#other", "first"),
        ("?tag=v1", "first"),
        ("?branch=main", "second"),
        ("#refs/heads/main", "second"),
    ],
)
async def test_a_reference_is_a_branch_or_a_tag(bench: Bench, served: Server, fragment: str, shown: str) -> None:
    outcome = await bench.build(f"FROM busybox\nADD {served.address('r')}{fragment} /d/\n")
    assert await bench.output(outcome.image_id, "cat", "/d/a.txt") == shown


async def test_a_commit_that_is_known_is_not_asked_for_again(bench: Bench, served: Server) -> None:
    repository, url = served.repositories["r"], served.address("r")
    commit = repository.git("rev-parse", "v1^{commit}")
    outcome = await bench.build(f"FROM busybox\nADD {url}#{commit}:sub /d/\n")
    assert await bench.output(outcome.image_id, *SHOW) == "./b.txt 644 0:0\n"
    asked = len(served.requests)
    await bench.build(f"FROM busybox\nRUN true\nADD --chown=5:6 {url}#{commit}:sub /e\n")
    assert len(served.requests) == asked
    with pytest.raises(NotFound, match="no directory nowhere"):
        await bench.build(f"FROM busybox\nADD {url}#{commit}:nowhere /d\n")
    with pytest.raises(NotFound, match="does not contain ref nothing"):
        await bench.build(f"FROM busybox\nADD {url}#nothing /d\n")
    with pytest.raises(DockwrightError):
        await bench.build(f"FROM busybox\nADD {url}#{'0' * 40} /d\n")


async def test_a_commit_is_held_against_its_checksum(bench: Bench, served: Server) -> None:
    url = served.address("r")
    head = served.repositories["r"].git("rev-parse", "main")
    await bench.build(f"FROM busybox\nADD --checksum={head[:7]} {url} /d\nADD {url}?checksum={head} /e\n")
    with pytest.raises(Invalid, match="expected checksum to match 1234567, got"):
        await bench.build(f"FROM busybox\nADD --checksum=1234567 {url} /d\n")


async def test_the_git_directory_stays_where_it_is_asked_for(bench: Bench, served: Server, tmp_path: Path) -> None:
    url, repository = served.address("r"), served.repositories["r"]
    text = f"FROM busybox\nADD --keep-git-dir=true {url}#v1 /d\n"
    outcome = await bench.build(text)
    assert repository.git("rev-parse", "v1^{commit}") in await bench.output(outcome.image_id, "cat", "/d/.git/HEAD")
    assert url in await bench.output(outcome.image_id, "cat", "/d/.git/config")
    assert all((await bench.build(text)).cached.values())


async def test_submodules_come_along(bench: Bench, served: Server, tmp_path: Path) -> None:
    served.repositories["inner"] = inner = Repository(tmp_path / "inner")
    inner.commit({"deep.txt": "deep"})
    outer = served.repositories["r"]
    outer.git("submodule", "add", "-q", served.address("inner"), "mod")
    outer.commit({})
    url = served.address("r")
    outcome = await bench.build(f"FROM busybox\nADD {url} /d\n")
    assert await bench.output(outcome.image_id, "cat", "/d/mod/deep.txt") == "deep"
    assert await bench.output(outcome.image_id, "find", "/d", "-name", ".git") == ""
    without = await bench.build(f"FROM busybox\nADD {url}?submodules=false /d\n")
    assert "deep" not in await bench.output(without.image_id, "find", "/d")


async def test_times_may_be_the_commit_s(bench: Bench, served: Server) -> None:
    url = served.address("r")
    outcome = await bench.build(
        f"FROM busybox\nADD {url}?mtime=commit /d/\n", arguments={"SOURCE_DATE_EPOCH": "1800000000"}
    )
    assert await bench.output(outcome.image_id, "stat", "-c", "%Y", "/d/a.txt") == f"{COMMIT_TIME}\n"


async def test_a_token_opens_a_repository(bench: Bench, served: Server) -> None:
    url = served.address("r")
    served.authorization = "basic " + base64.b64encode(b"x-access-token:t0ken").decode()
    with pytest.raises(Unauthorized):
        await bench.build(f"FROM busybox\nADD {url} /d\n")
    lender = HostLender({"GIT_AUTH_TOKEN": b"t0ken\n"})
    await bench.build(f"FROM busybox\nADD {url} /d\n", lender=lender)
    host = url.partition("://")[2].partition("/")[0]
    await bench.build(f"FROM busybox\nADD {url}#v1 /d\n", lender=HostLender({f"GIT_AUTH_TOKEN.{host}": b"t0ken"}))


async def test_a_repository_runs_nothing_here(bench: Bench, served: Server, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    served.repositories["r"].commit(
        {".gitattributes": "* filter=evil\n", ".gitconfig": f'[filter "evil"]\n\tsmudge = touch {mark}\n'}
    )
    url = served.address("r")
    await bench.build(f"FROM busybox\nADD {url} /d\n")
    assert not mark.exists()
    with pytest.raises(DockwrightError):
        await bench.build(f"FROM busybox\nADD {served.repositories['r'].url} /d\n")
    with pytest.raises(DockwrightError, match="source can't be a URL or a git ref for COPY"):
        await bench.build(f"FROM busybox\nCOPY {url} /d\n")


async def test_an_address_is_added(bench: Bench, web: WebServer, files: Files) -> None:
    files.content["/x/data.bin"] = b"data"
    files.headers["/x/data.bin"] = {"ETag": '"1"', "Last-Modified": "Mon, 06 May 2024 07:08:09 GMT"}
    text = f"FROM busybox\nADD {web.url}/x/data.bin?query=1 /d/\nADD {web.url}/x/data.bin /named\n"
    outcome = await bench.build(text, arguments={"SOURCE_DATE_EPOCH": "1800000000"})
    said = await bench.output(outcome.image_id, "stat", "-c", "%n %a %u:%g %Y", "/d/data.bin", "/named")
    assert said == f"/d/data.bin 600 0:0 {COMMIT_TIME}\n/named 600 0:0 {COMMIT_TIME}\n"
    again = await bench.build(text, arguments={"SOURCE_DATE_EPOCH": "1800000000"})
    assert all(again.cached.values())
    assert [one.headers.get("If-None-Match") for one in web.requests[-2:]] == ['"1"', '"1"']
    files.content["/x/data.bin"], files.headers["/x/data.bin"] = b"other", {"ETag": '"2"'}
    changed = await bench.build(text, arguments={"SOURCE_DATE_EPOCH": "1800000000"})
    assert await bench.output(changed.image_id, "cat", "/named") == "other"


async def test_an_address_is_held_against_its_checksum(bench: Bench, web: WebServer, files: Files) -> None:
    files.content["/f"] = b"content"
    good = "sha256:" + hashlib.sha256(b"content").hexdigest()
    text = f"FROM busybox\nADD --checksum={good} {web.url}/f /f\n"
    await bench.build(text)
    asked = len(web.requests)
    await bench.build(text, no_cache=True)
    assert len(web.requests) == asked, "what is here already is asked nobody for"
    with pytest.raises(Corrupt, match="digest mismatch for"):
        await bench.build(f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {web.url}/f /f\n")
    for wrong in (
        "ADD --checksum=md5:1 http://h.test/f /f",
        "ADD --checksum=sha256:1 a b /c/",
        "ADD --checksum=12 a /c",
    ):
        with pytest.raises(DockwrightError, match="checksum"):
            await bench.build(f"FROM busybox\n{wrong}\n", {"a": "", "b": ""})


async def test_the_name_of_an_address(bench: Bench, web: WebServer, files: Files) -> None:
    files.content["/"] = files.content["/we[i]rd*"] = files.content["/z%7A"] = b"x"
    files.content["/named"] = b"n"
    files.headers["/"] = {"Content-Disposition": 'attachment; filename="../from-server.txt"'}
    outcome = await bench.build(
        f'FROM busybox\nADD {web.url}/ {web.url}/z%7A /d/\nADD ["{web.url}/we[i]rd*", "/d/"]\nADD {web.url} /other\n'
    )
    assert (
        await bench.output(outcome.image_id, "ls", "/d", "/other") == "/other\n\n/d:\nfrom-server.txt\nwe[i]rd*\nzz\n"
    )
    del files.headers["/"]
    with pytest.raises(Invalid, match="cannot determine filename from url"):
        await bench.build(f"FROM busybox\nADD {web.url} /d/\n")


async def test_archives_are_unpacked_where_it_is_said(bench: Bench, web: WebServer, files: Files) -> None:
    files.content["/a.tgz"] = packed = gzip.compress(archives.files({"in/one": "1", "two": "2"}))
    outcome = await bench.build(
        f"FROM busybox\nADD {web.url}/a.tgz /kept/\nADD --unpack=true {web.url}/a.tgz /d/\n"
        "ADD --unpack=false local.tgz /local/\nADD local.tgz /unpacked/\n",
        {"local.tgz": packed},
    )
    said = await bench.output(outcome.image_id, "find", "/kept", "/d", "/local", "/unpacked", "-type", "f")
    assert sorted(said.split()) == sorted(
        ["/kept/a.tgz", "/d/in/one", "/d/two", "/local/local.tgz", "/unpacked/in/one", "/unpacked/two"]
    )


async def test_a_server_that_refuses_is_told(bench: Bench, web: WebServer, files: Files) -> None:
    with pytest.raises(NotFound, match="invalid response status 404"):
        await bench.build(f"FROM busybox\nADD {web.url}/none /d\n")
    files.content["/s"], files.headers["/s"] = b"s", {"Authorization": "Bearer t"}
    with pytest.raises(Unauthorized):
        await bench.build(f"FROM busybox\nADD {web.url}/s /d\n")
    await bench.build(f"FROM busybox\nADD {web.url}/s /d\n", lender=HostLender({f"HTTP_AUTH_TOKEN_{web.host}": b"t"}))
    address = web.url
    web.stop()
    with pytest.raises(Unavailable, match="cannot fetch"):
        await bench.build(f"FROM busybox\nADD {address}/t /d\n")
    assert [
        entry.name for entry in bench.engine.builder.sources.shelf.directory.iterdir() if ".new" in entry.name
    ] == []


async def test_paths_and_addresses_go_together(bench: Bench, web: WebServer, files: Files, served: Server) -> None:
    files.content["/f"] = b"f"
    text = f"FROM busybox\nADD a.txt {web.url}/f {served.address('r')}#v1:sub /d/\n"
    outcome = await bench.build(text, {"a.txt": "A"})
    assert await bench.output(outcome.image_id, "ls", "/d") == "a.txt\nb.txt\nf\n"
    image = await bench.engine.images.resolve(outcome.image_id)
    assert len(image.config.diff_ids) == 2, "one instruction, one layer"


async def test_contexts_by_address(bench: Bench, web: WebServer, files: Files, served: Server) -> None:
    served.repositories["r"].commit({"Dockerfile": "FROM busybox\nCOPY a.txt /a\n"})
    files.content["/c.tgz"] = gzip.compress(archives.files({"Dockerfile": "FROM busybox\nCOPY x /a\n", "x": "packed"}))
    files.content["/lone"] = b"FROM busybox\nRUN echo -n lone > /a\n"
    sources = bench.engine.builder.sources
    for address, shown in (
        (served.address("r"), "second"),
        (f"{web.url}/c.tgz", "packed"),
        (f"{web.url}/lone", "lone"),
    ):
        assert sources.is_remote(address)
        async with sources.context(address, "Dockerfile", LendsNothing()) as context:
            outcome = await bench.run(BuildRequest(), context)
        assert await bench.output(outcome.image_id, "cat", "/a") == shown
    assert not sources.is_remote("a/path")
    with pytest.raises(Invalid, match="neither a repository nor"):
        async with sources.context("a/path", "Dockerfile", LendsNothing()):
            pass


async def test_named_contexts(bench: Bench, web: WebServer, files: Files, served: Server, tmp_path: Path) -> None:
    directory = tmp_path / "named"
    directory.mkdir()
    (directory / "n.txt").write_text("named")
    (directory / "left-out").write_text("")
    (directory / ".dockerignore").write_text("left-out\n")
    files.content["/c.tgz"] = gzip.compress(archives.files({"p.txt": "packed"}))
    contexts: dict[str, Context | str] = {
        "dir": await asyncio.to_thread(Context.at, directory, "Dockerfile"),
        "repo": f"{served.address('r')}#v1",
        "archive": f"{web.url}/c.tgz",
        "debian:latest": "docker-image://busybox",
        "made": "target:base",
        "replaced": "docker-image://busybox",
    }
    text = (
        "FROM busybox AS base\nRUN echo base > /base.txt\n"
        "FROM nowhere AS replaced\nRUN false\n"
        "FROM debian AS last\n"
        "COPY --from=dir / /dir/\nCOPY --from=repo a.txt /repo/\nCOPY --from=archive p.txt /archive/\n"
        "COPY --from=made /base.txt /made/\nCOPY --from=replaced /etc/passwd /replaced/\n"
        "RUN --mount=from=dir,target=/m cat /m/n.txt && test ! -e /m/left-out\n"
        "RUN --mount=from=repo,target=/m,rw cat /m/a.txt && touch /m/x\n"
        "USER 1000\nRUN --mount=from=repo,target=/r --mount=from=archive,target=/p cat /r/a.txt /p/p.txt\n"
    )
    outcome = await bench.build(text, contexts=contexts)
    assert outcome.said == "namedfirstfirstpacked"
    said = await bench.output(outcome.image_id, "find", "/dir", "/repo", "/archive", "/made", "/replaced", "-type", "f")
    assert sorted(said.split()) == [
        "/archive/p.txt", "/dir/.dockerignore", "/dir/n.txt", "/made/base.txt", "/replaced/passwd", "/repo/a.txt",
    ]  # fmt: skip
    assert all((await bench.build(text, contexts=contexts)).cached.values())
    whole = await bench.build("FROM dir\nCOPY --from=busybox /bin /bin\n", contexts=contexts)
    assert await bench.output(whole.image_id, "cat", "/n.txt") == "named"


async def test_what_is_wrong_with_a_named_context(bench: Bench) -> None:
    for given, message in (
        ("ftp://h.test/x", "unsupported context source ftp for c"),
        ("target:none", "there is no such stage"),
        ("target:s", "needs it itself"),
    ):
        with pytest.raises(DockwrightError, match=message):
            await bench.build("FROM busybox AS s\nCOPY --from=c / /x\n", contexts={"c": given})


async def test_what_was_fetched_is_pruned_unless_it_is_held(
    bench: Bench, web: WebServer, files: Files, served: Server
) -> None:
    files.content["/f"] = b"f"
    await bench.build(f"FROM busybox\nADD {web.url}/f /f\nADD {served.address('r')} /d\n")
    builder = bench.engine.builder
    kinds = sorted(use.kind for use in await builder.usage())
    assert kinds == ["regular"] * 3 + ["source.git.checkout"] * 2
    async with AsyncExitStack() as stack:
        await builder.sources.downloads.fetch(stack, f"{web.url}/f", "", LendsNothing())
        assert len((await builder.prune({}, everything=True)).ids) == 4
    assert len((await builder.prune({}, everything=True)).ids) == 1
    assert await builder.usage() == []
    await bench.build(f"FROM busybox\nADD {web.url}/f /f\nADD {served.address('r')} /d\n")


async def test_entitlements_are_asked_for_and_given(bench: Bench) -> None:
    insecure = "FROM busybox\nRUN --security=insecure true\n"
    with pytest.raises(Forbidden, match=r"security.insecure is not allowed: grant it with --allow security.insecure"):
        await bench.build(insecure)
    with pytest.raises(Forbidden, match="granting entitlement security.insecure is not allowed by build daemon"):
        await bench.build(insecure, entitlements=frozenset({"security.insecure"}))
    with pytest.raises(Invalid, match="unknown entitlement 'device'"):
        await bench.build(insecure, entitlements=frozenset({"device"}))
    host = "FROM busybox\nRUN --network=host test -e /sys/class/net/lo\n"
    with pytest.raises(Forbidden, match=r"network.host is not allowed"):
        await bench.build(host)
    await bench.build(host, entitlements=frozenset({"network.host"}))


async def test_an_image_of_a_layout_is_a_named_context(bench: Bench, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    archive = b"".join([chunk async for chunk in bench.engine.images.save(["busybox"])])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(layout, filter="data")
    text = "FROM base\nRUN echo made > /made\n"
    contexts: dict[str, Context | str] = {"base": f"oci-layout://{layout}"}
    outcome = await bench.build(text, contexts=contexts)
    assert await bench.output(outcome.image_id, "cat", "/made") == "made\n"
    for wrong, message in ((f"{layout}:none", "has no image none"), (str(tmp_path), "is no OCI layout")):
        with pytest.raises(NotFound, match=message):
            await bench.build(text, contexts={"base": f"oci-layout://{wrong}"})
