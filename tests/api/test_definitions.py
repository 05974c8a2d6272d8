"""Definitions in BuildKit's low-level language, solved with a frontend of the client's or without one."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import msgspec
import pytest
from grpclib.const import Cardinality
from grpclib.exceptions import GRPCError

from dockwright.buildkit.connection import Caller
from dockwright.buildkit.proto import control_pb2 as control
from dockwright.buildkit.proto import gateway_pb2 as gateway
from dockwright.buildkit.proto import llb_pb2 as llb
from dockwright.buildkit.proto.control_grpc import ControlStub
from dockwright.units import parse_time
from tests.buildkitclient import Program, building, connected
from tests.host import Daemon
from tests.webserver import Exchange, WebServer

pytestmark = pytest.mark.root
BUSYBOX = "docker-image://docker.io/library/busybox:latest"


@pytest.fixture
async def caller(daemon: Daemon) -> AsyncIterator[Caller]:
    async with connected(str(daemon.socket)) as found:
        yield found


async def _read(caller: Caller, definition: llb.Definition, path: str) -> bytes:
    async with building(caller) as build:
        return await build.read(await build.solve(definition), path)


async def _fails(caller: Caller, definition: llb.Definition) -> str:
    with pytest.raises(GRPCError) as failed:
        await ControlStub(caller).Solve(control.SolveRequest(Ref=secrets.token_hex(8), Definition=definition))
    return failed.value.message or ""


def _copy(base: int, source: int, src: str, dest: str, **more: object) -> llb.FileAction:
    copied = llb.FileActionCopy(src=src, dest=dest, mode=-1, timestamp=-1, **more)  # type: ignore[arg-type]
    return llb.FileAction(input=base, secondaryInput=source, copy=copied)


def _mkfile(base: int, path: str, data: bytes, mode: int = 0o640) -> llb.FileAction:
    return llb.FileAction(input=base, mkfile=llb.FileActionMkFile(path=path, data=data, mode=mode, timestamp=-1))


async def test_a_definition_becomes_an_image(caller: Caller, daemon: Daemon) -> None:
    program = Program()
    base = program.source(BUSYBOX)
    made = program.shell(base, "echo $WORD > /word", env=["WORD=defined"])
    request = control.SolveRequest(
        Ref=secrets.token_hex(8),
        Definition=program.about(made),
        Exporters=[control.Exporter(Type="moby", Attrs={"name": "defined:1"})],
    )
    answer = await ControlStub(caller).Solve(request)
    client = daemon.client()
    try:
        image = client.images.get("defined:1")
        assert answer.ExporterResponse["containerimage.digest"] == image.id
        said = client.containers.run("defined:1", ["cat", "/word"], remove=True, network_mode="none")
        assert said == b"defined\n"
    finally:
        client.images.remove("defined:1", force=True)
        client.close()


async def test_a_function_says_what_its_image_is_like(caller: Caller, daemon: Daemon) -> None:
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["cat", "/a"], "Labels": {"of": "function"}}}
    result = gateway.Result(metadata={"containerimage.config": msgspec.json.encode(config)})
    program = Program()
    made = program.files(_mkfile(0, "/a", b"A\n"), inputs=[program.source(BUSYBOX)])
    exporter = control.Exporter(Type="moby", Attrs={"name": "defined:2"})
    async with building(caller, [exporter], result) as build:
        result.ref.id = await build.solve(program.about(made))
    client = daemon.client()
    try:
        assert client.images.get("defined:2").labels == {"of": "function"}
        assert client.containers.run("defined:2", remove=True, network_mode="none") == b"A\n"
    finally:
        client.images.remove("defined:2", force=True)
        client.close()


async def test_commands_have_mounts_of_every_kind(caller: Caller) -> None:
    program = Program()
    base = program.source(BUSYBOX)
    data = program.files(_mkfile(-1, "/inner", b"from a bind\n"))
    script = (
        "cat /data/inner > /out && cat /one >> /out && touch /scratch/x && echo kept >> /cache/y && "
        "df /tmpfs | grep -q tmpfs && ! touch /data/z && env | grep ^PROXY >> /out; echo $http_proxy >> /out; id -u >> /out"
    )
    made = program.shell(
        base,
        script,
        llb.Mount(input=1, dest="/data", readonly=True, output=-1),
        llb.Mount(input=1, selector="/inner", dest="/one", readonly=True, output=-1),
        llb.Mount(input=-1, dest="/scratch", output=1),
        llb.Mount(
            input=-1, dest="/cache", output=-1, mountType=llb.CACHE, cacheOpt=llb.CacheOpt(ID=secrets.token_hex(4))
        ),
        llb.Mount(input=-1, dest="/tmpfs", output=-1, mountType=llb.TMPFS, TmpfsOpt=llb.TmpfsOpt(size=1 << 20)),
        inputs=[data],
        user="root",
        proxy_env=llb.ProxyEnv(http_proxy="http://proxy.test"),
    )
    assert await _read(caller, program.about(made), "/out") == b"from a bind\nfrom a bind\nhttp://proxy.test\n0\n"


async def test_files_are_made_copied_linked_and_removed(caller: Caller) -> None:
    program = Program()
    tree = program.files(
        llb.FileAction(input=-1, mkdir=llb.FileActionMkDir(path="/a/b", mode=0o750, makeParents=True, timestamp=-1)),
        _mkfile(0, "/a/b/c", b"C"),
        _mkfile(1, "/a/b/d", b"D"),
        llb.FileAction(input=2, symlink=llb.FileActionSymlink(oldpath="c", newpath="/a/b/link", timestamp=-1)),
    )
    base = program.source(BUSYBOX)
    made = program.files(
        _copy(0, 1, "/a/b", "/contents", dirCopyContents=True),
        _copy(2, 1, "/a/b", "/whole"),
        _copy(3, 1, "/a/b/*", "/some/", allowWildcard=True, exclude_patterns=["d"]),
        _copy(4, 1, "/a/b/link", "/link"),
        _copy(5, 1, "/a/b/link", "/followed", followSymlink=True, modeStr="u=rwx,go="),
        llb.FileAction(input=6, rm=llb.FileActionRm(path="/contents/[x-zd]", allowWildcard=True)),
        llb.FileAction(input=7, rm=llb.FileActionRm(path="/nowhere", allowNotFound=True)),
        inputs=[base, tree],
    )
    listed = program.shell(
        made, "cd / && ls -l contents whole some link followed | awk '{print $1, $9 $10 $11}' > /list"
    )
    said = (await _read(caller, program.about(listed), "/list")).decode()
    for line in ("contents:", "lrwxrwxrwx link->c", "-rw-r----- c", "-rwx------ followed"):
        assert line in said
    assert said.count("-rw-r----- d") == 1  # of the whole directory alone
    assert (await _read(caller, program.about(tree), "/a/b/c")) == b"C"


async def test_trees_are_merged_and_their_differences_taken(caller: Caller) -> None:
    program = Program()
    base = program.source(BUSYBOX)
    upper = program.shell(base, "echo new > /new && rm /bin/vi")
    other = program.files(_mkfile(-1, "/other", b"other\n"))
    changed = program.add(
        llb.Op(diff=llb.DiffOp(lower=llb.LowerDiffInput(input=0), upper=llb.UpperDiffInput(input=1))),
        (base, 0),
        (upper, 0),
    )
    inputs = [llb.MergeInput(input=number) for number in range(3)]
    merged = program.add(llb.Op(merge=llb.MergeOp(inputs=inputs)), (base, 0), (other, 0), (changed, 0))
    listed = program.shell(merged, "cat /other /new > /said; ls /bin/vi >> /said 2>/dev/null || echo gone >> /said")
    assert await _read(caller, program.about(listed), "/said") == b"other\nnew\ngone\n"
    wrong = program.add(
        llb.Op(diff=llb.DiffOp(lower=llb.LowerDiffInput(input=0), upper=llb.UpperDiffInput(input=1))),
        (other, 0),
        (upper, 0),
    )
    assert "diff: upper does not stand on the layers of lower" in await _fails(caller, program.about(wrong))


async def test_files_come_from_addresses(caller: Caller) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(200, {}, b"served\n")

    with WebServer(answer) as server:
        program = Program()
        source = program.source(f"{server.url}/file", http_filename="named", http_perm="0604")
        async with building(caller) as build:
            ref = await build.solve(program.about(source))
            assert await build.read(ref, "named") == b"served\n"
            stat = await build.bridge.StatFile(gateway.StatFileRequest(Ref=ref, Path="named"), metadata=build.metadata)
            assert (stat.stat.path, stat.stat.size, stat.stat.mode) == ("named", 7, 0o604)


async def test_results_are_looked_into(caller: Caller) -> None:
    program = Program()
    made = program.files(
        llb.FileAction(input=-1, mkdir=llb.FileActionMkDir(path="/d", mode=0o755, timestamp=-1)),
        _mkfile(0, "/d/a.txt", b"0123456789"),
        _mkfile(1, "/d/b", b""),
        llb.FileAction(input=2, symlink=llb.FileActionSymlink(oldpath="/d/a.txt", newpath="/l", timestamp=-1)),
    )
    async with building(caller) as build:
        bridge, metadata = build.bridge, build.metadata
        ref = await build.solve(program.about(made))
        found = await bridge.ReadDir(gateway.ReadDirRequest(Ref=ref, DirPath="/"), metadata=metadata)
        assert [(one.path, one.linkname) for one in found.entries] == [("d", ""), ("l", "/d/a.txt")]
        request = gateway.ReadDirRequest(Ref=ref, DirPath="/d", IncludePattern="*.txt")
        assert [one.path for one in (await bridge.ReadDir(request, metadata=metadata)).entries] == ["a.txt"]
        part = gateway.FileRange(Offset=2, Length=3)
        read = await bridge.ReadFile(gateway.ReadFileRequest(Ref=ref, FilePath="/l", Range=part), metadata=metadata)
        assert read.Data == b"234"
        for path, expected in (
            ("/missing", "No such file"),
            ("/d", "no regular file"),
            ("/../../etc/shadow", "No such"),
        ):
            with pytest.raises(GRPCError, match=expected):
                await bridge.ReadFile(gateway.ReadFileRequest(Ref=ref, FilePath=path), metadata=metadata)


async def test_images_tell_of_themselves(caller: Caller) -> None:
    async with building(caller) as build:
        asked = gateway.ResolveImageConfigRequest(Ref="docker.io/library/busybox:latest", ResolveMode="local")
        answer = await build.bridge.ResolveImageConfig(asked, metadata=build.metadata)
        assert msgspec.json.decode(answer.Config)["os"] == "linux"
        source = gateway.ResolveSourceMetaRequest(Source=llb.SourceOp(identifier=BUSYBOX))
        meta = await build.bridge.ResolveSourceMeta(source, metadata=build.metadata)
        assert (meta.Image.Digest, meta.Image.Config) == (answer.Digest, answer.Config)


async def test_files_are_as_new_as_the_newest_image_at_most(caller: Caller) -> None:
    program = Program()
    made = program.shell(program.source(BUSYBOX), "echo x > /dated")
    async with building(caller) as build:
        ref = await build.solve(program.about(made))
        stat = await build.bridge.StatFile(gateway.StatFileRequest(Ref=ref, Path="/dated"), metadata=build.metadata)
        asked = gateway.ResolveImageConfigRequest(Ref="docker.io/library/busybox:latest")
        image = await build.bridge.ResolveImageConfig(asked, metadata=build.metadata)
        created = msgspec.json.decode(image.Config)["created"]
        assert stat.stat.modTime == parse_time(created, 0)


async def test_a_frontend_takes_definitions_in_place_of_directories(caller: Caller) -> None:
    program = Program()
    text = b"FROM busybox\nCOPY a /b\nCOPY --from=more inner /c\n"
    context = program.about(program.files(_mkfile(-1, "/Dockerfile", text), _mkfile(0, "/a", b"A")))
    more = Program()
    named = more.about(more.files(_mkfile(-1, "/inner", b"I")))
    async with building(caller) as build:
        request = gateway.SolveRequest(
            Frontend="dockerfile.v0",
            FrontendOpt={"context:more": "input:more"},
            FrontendInputs={"context": context, "dockerfile": context, "more": named},
        )
        answer = await build.bridge.Solve(request, metadata=build.metadata)
        assert await build.read(answer.result.ref.id, "/b") == b"A"
        assert await build.read(answer.result.ref.id, "/c") == b"I"


async def test_equal_definitions_are_built_once(caller: Caller) -> None:
    program = Program()
    word = secrets.token_hex(8)
    made = program.shell(program.source(BUSYBOX), f"cat /proc/sys/kernel/random/uuid > /id; echo {word}")
    first = await _read(caller, program.about(made), "/id")
    assert await _read(caller, program.about(made), "/id") == first
    program.metadata[made].ignore_cache = True
    assert await _read(caller, program.about(made), "/id") != first


def _refused() -> list[tuple[str, llb.Op]]:
    root = llb.Mount(input=-1, dest="/", output=0)

    def command(**more: object) -> llb.Op:
        meta = llb.Meta(args=["true"], **more)  # type: ignore[arg-type]
        return llb.Op(exec=llb.ExecOp(meta=meta, mounts=[root]))

    copied = {"src": "/a", "dest": "/b", "mode": -1}
    return [
        ("exec.meta.hostname", command(hostname="x")),
        ("exec.meta.ulimit", command(ulimit=[llb.Ulimit(Name="nofile")])),
        ("exec.meta.extraHosts", command(extraHosts=[llb.HostIP(Host="a", IP="1.2.3.4")])),
        ("exec.meta.validExitCodes", command(validExitCodes=[3])),
        ("one mount at /", llb.Op(exec=llb.ExecOp(meta=llb.Meta(args=["true"])))),
        ("operation build is not supported", llb.Op(build=llb.BuildOp())),
        ("operation passthrough is not supported", llb.Op(passthrough=llb.PassthroughOp())),
        ("source ftp://x: this scheme", llb.Op(source=llb.SourceOp(identifier="ftp://x"))),
        (
            "http.header.x is not",
            llb.Op(source=llb.SourceOp(identifier="http://x.test/y", attrs={"http.header.x": "y"})),
        ),
        ("copy.include_patterns", llb.Op(file=llb.FileOp(actions=[_copy(-1, -1, "/a", "/b", include_patterns=["x"])]))),
        (
            "copy.timestamp",
            llb.Op(file=llb.FileOp(actions=[llb.FileAction(input=-1, copy=llb.FileActionCopy(timestamp=5, **copied))])),
        ),  # type: ignore[arg-type]
        ("there is no input 7", llb.Op(file=llb.FileOp(actions=[_mkfile(7, "/a", b"")]))),
        (
            "one worker",
            llb.Op(source=llb.SourceOp(identifier=BUSYBOX), constraints=llb.WorkerConstraints(filter=["a"])),
        ),
    ]


@pytest.mark.parametrize(("expected", "op"), _refused(), ids=[text for text, _ in _refused()])
async def test_what_cannot_be_built_is_refused_by_name(expected: str, op: llb.Op, caller: Caller) -> None:
    program = Program()
    assert expected in await _fails(caller, program.about(program.add(op)))


async def test_what_is_written_to_a_mount_cannot_be_used_further(caller: Caller) -> None:
    program = Program()
    made = program.shell(program.source(BUSYBOX), "true", llb.Mount(input=-1, dest="/out", output=1))
    assert "what is written to /out cannot be used further" in await _fails(caller, program.about(made, 1))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b"\xff\xff"], "cannot be read"),
        ([llb.Op(source=llb.SourceOp(identifier="x")).SerializeToString()], "does not end with what it is about"),
        ([llb.Op(inputs=[llb.Input(digest="sha256:" + "0" * 64)]).SerializeToString()], "does not have"),
    ],
)
async def test_what_is_no_definition_is_refused(parts: list[bytes], expected: str, caller: Caller) -> None:
    definition = llb.Definition()
    getattr(definition, "def").extend(parts)
    assert expected in await _fails(caller, definition)


BRIDGE_CALLS = [
    "Solve",
    "ReadFile",
    "ReadDir",
    "StatFile",
    "Evaluate",
    "Return",
    "Warn",
    "ResolveImageConfig",
    "ResolveSourceMeta",
]
CONTROL_CALLS = ["Solve", "Status", "DiskUsage", "Prune", "ListWorkers", "ListenBuildHistory", "UpdateBuildHistory"]


async def test_a_call_without_a_message_is_refused(caller: Caller) -> None:
    async with building(caller) as build:
        calls = [(getattr(build.bridge, name), build.metadata) for name in BRIDGE_CALLS]
        calls += [(getattr(ControlStub(caller), name), {}) for name in CONTROL_CALLS]
        for call, metadata in calls:
            several = Cardinality.STREAM_STREAM  # as a call of one message, grpclib would not let it go without
            asking = caller.request(call.name, several, call.request_type, call.reply_type, metadata=metadata)
            async with asking as stream:
                await stream.send_request()
                await stream.end()
                with pytest.raises(GRPCError, match="a call without a message"):
                    await stream.recv_message()
                    await stream.recv_trailing_metadata()
