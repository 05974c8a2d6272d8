"""Records of builds that cannot be kept: the build is done all the same, and nothing half of a record is there."""

from __future__ import annotations

import secrets

import pytest
from grpclib.exceptions import GRPCError, StreamTerminatedError
from tests.buildkitclient import Program, connected
from tests.host import Daemon

from dockwright.buildkit.connection import Caller
from dockwright.buildkit.proto import control_pb2 as wire
from dockwright.buildkit.proto import llb_pb2 as llb
from dockwright.buildkit.proto.control_grpc import ControlStub

pytestmark = pytest.mark.root


def _request(name: str) -> wire.SolveRequest:
    program = Program()
    base = program.source("docker-image://docker.io/library/busybox:latest")
    written = llb.FileActionMkFile(path="/of", data=name.encode(), mode=0o644, timestamp=-1)
    definition = program.about(program.files(llb.FileAction(input=0, mkfile=written), inputs=[base]))
    exporter = wire.Exporter(Type="moby", Attrs={"name": name})
    return wire.SolveRequest(Ref=secrets.token_hex(8), Definition=definition, Exporters=[exporter])


async def _refs(caller: Caller) -> list[str]:
    events = await ControlStub(caller).ListenBuildHistory(wire.BuildHistoryRequest(EarlyExit=True))
    return [event.record.Ref for event in events]


def _armed(daemon: Daemon, faults: str) -> None:
    daemon.kill()
    daemon.environment = {"DOCKWRIGHT_FAULTS": faults}
    daemon.start()


async def test_a_build_that_cannot_be_recorded_is_done_all_the_same(own_daemon: Daemon) -> None:
    _armed(own_daemon, "build.record:raise")
    async with connected(str(own_daemon.socket)) as caller:
        await ControlStub(caller).Solve(_request("unrecorded:1"))
        assert await _refs(caller) == []
    client = own_daemon.client()
    assert client.images.get("unrecorded:1")
    client.close()


async def test_a_daemon_killed_while_it_records_keeps_the_image_and_no_half_of_a_record(own_daemon: Daemon) -> None:
    _armed(own_daemon, "build.record:kill")
    async with connected(str(own_daemon.socket)) as caller:
        with pytest.raises((GRPCError, StreamTerminatedError, ConnectionError)):
            await ControlStub(caller).Solve(_request("killed:1"))
    _armed(own_daemon, "")
    request = _request("killed:2")
    async with connected(str(own_daemon.socket)) as caller:
        assert await _refs(caller) == []
        await ControlStub(caller).Solve(request)
        assert await _refs(caller) == [request.Ref]
    client = own_daemon.client()
    assert client.images.get("killed:1")
    client.close()


async def test_an_edit_that_fails_midway_works_the_next_time(own_daemon: Daemon) -> None:
    _armed(own_daemon, "build.edit:raise")
    async with connected(str(own_daemon.socket)) as caller:
        with pytest.raises(GRPCError, match="injected fault at build.edit"):
            await ControlStub(caller).Solve(_request("edited:1"))
    _armed(own_daemon, "")
    async with connected(str(own_daemon.socket)) as caller:
        await ControlStub(caller).Solve(_request("edited:1"))
