"""BuildKit's service `Control`, spoken by a client of our own: what clients at hand ask only in part."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator

import pytest
from grpclib.exceptions import GRPCError

from dockwright.buildkit.connection import Caller
from dockwright.buildkit.proto import content_pb2 as content
from dockwright.buildkit.proto import control_pb2 as wire
from dockwright.buildkit.proto.content_grpc import ContentStub
from dockwright.buildkit.proto.control_grpc import ControlStub
from tests.buildkitclient import Program, connected
from tests.host import Daemon

pytestmark = pytest.mark.root
BUSYBOX = "docker-image://docker.io/library/busybox:latest"


@pytest.fixture
async def caller(daemon: Daemon) -> AsyncIterator[Caller]:
    async with connected(str(daemon.socket)) as found:
        yield found


async def _build(caller: Caller, script: str, **more: object) -> str:
    """Its ref."""
    program, ref = Program(), secrets.token_hex(12)
    definition = program.about(program.shell(program.source(BUSYBOX), script, env=[f"SALT={ref}"]))
    await ControlStub(caller).Solve(wire.SolveRequest(Ref=ref, Definition=definition, **more))  # type: ignore[arg-type]
    return ref


async def test_workers_are_chosen_by_filters(caller: Caller) -> None:
    control = ControlStub(caller)
    (worker,) = (await control.ListWorkers(wire.ListWorkersRequest())).record
    label = 'labels."org.mobyproject.buildkit.worker.snapshotter"'
    for text, there in ((f"id=={worker.ID}", True), ("id==other", False), (f"{label}==overlayfs", True), (label, True)):
        found = await control.ListWorkers(wire.ListWorkersRequest(filter=[text]))
        assert bool(found.record) is there, text
    assert (await control.Info(wire.InfoRequest())).buildkitVersion.package == "dockwright"
    assert len(worker.GCPolicy) == 4
    with pytest.raises(GRPCError, match="invalid filter"):
        await control.ListWorkers(wire.ListWorkersRequest(filter=["id=x"]))


async def test_builds_are_told_of_as_they_begin_end_and_go(caller: Caller) -> None:
    control = ControlStub(caller)
    async with control.ListenBuildHistory.open() as listening:
        await listening.send_message(wire.BuildHistoryRequest(ActiveOnly=True), end=True)
        await listening.recv_initial_metadata()
        ref = await _build(caller, "true")
        await control.UpdateBuildHistory(wire.UpdateBuildHistoryRequest(Ref=ref, Pinned=True))
        heard: list[wire.BuildHistoryEvent] = []
        while len(heard) < 3:
            event = await listening.recv_message()
            assert event is not None
            if event.record.Ref == ref:
                heard.append(event)
        assert [one.type for one in heard] == [wire.STARTED, wire.COMPLETE, wire.COMPLETE]
        assert [one.record.pinned for one in heard] == [False, False, True]
        assert heard[1].record.numCompletedSteps == heard[1].record.numTotalSteps > 0
        await listening.cancel()
    async with control.ListenBuildHistory.open() as listening:
        await listening.send_message(wire.BuildHistoryRequest(Ref=ref), end=True)
        first = await listening.recv_message()
        assert first is not None
        assert first.record.pinned
        await control.UpdateBuildHistory(wire.UpdateBuildHistoryRequest(Ref=ref, Delete=True))
        last = await listening.recv_message()
        assert last is not None
        assert (last.type, last.record.Ref) == (wire.DELETED, ref)
        await listening.cancel()
    with pytest.raises(GRPCError, match=f"no record of the build {ref}"):
        await control.UpdateBuildHistory(wire.UpdateBuildHistoryRequest(Ref=ref, Delete=True))


async def test_a_record_is_read_as_a_log_in_pieces(caller: Caller) -> None:
    ref = await _build(caller, "echo logged")
    control, store = ControlStub(caller), ContentStub(caller)
    (event,) = await control.ListenBuildHistory(wire.BuildHistoryRequest(Ref=ref, EarlyExit=True))
    logs = event.record.logs
    assert (await store.Info(content.InfoRequest(digest=logs.digest))).info.size == logs.size
    whole = b"".join(one.data for one in await store.Read(content.ReadContentRequest(digest=logs.digest)))
    assert len(whole) == logs.size
    part = await store.Read(content.ReadContentRequest(digest=logs.digest, offset=4, size=10))
    assert b"".join(one.data for one in part) == whole[4:14]
    said = await control.Status(wire.StatusRequest(Ref=ref))
    assert b"logged\n" in [log.msg for one in said for log in one.logs]
    with pytest.raises(GRPCError, match="none at"):
        await store.Read(content.ReadContentRequest(digest=logs.digest, offset=logs.size + 1))
    with pytest.raises(GRPCError):
        await store.Info(content.InfoRequest(digest="sha256:" + "0" * 64))
    await control.UpdateBuildHistory(wire.UpdateBuildHistoryRequest(Ref=ref, Delete=True))


async def test_a_status_asked_for_after_the_build_ends_at_once(caller: Caller) -> None:
    ref = await _build(caller, "echo internal", Internal=True)
    control = ControlStub(caller)
    assert await control.Status(wire.StatusRequest(Ref=ref)) == []
    assert await control.ListenBuildHistory(wire.BuildHistoryRequest(Ref=ref, EarlyExit=True)) == []


async def test_what_was_used_lately_is_left_out_by_its_age(caller: Caller) -> None:
    await _build(caller, "echo aged > /aged")
    control = ControlStub(caller)
    request = wire.DiskUsageRequest(filter=["description~=aged"])
    assert (await control.DiskUsage(request)).record
    request.ageLimit = int(time.time() * 10**9 // 2)
    assert not (await control.DiskUsage(request)).record


async def test_what_would_change_what_is_built_is_refused(caller: Caller) -> None:
    refused = [
        ({"SourcePolicySession": "x"}, "source policies are not supported"),
        ({"ProxyNetwork": True}, "proxy for the network"),
        ({"Frontend": "dockerfile.v0"}, "it is one of them"),
    ]
    for more, expected in refused:
        with pytest.raises(GRPCError, match=expected):
            await _build(caller, "true", **more)
