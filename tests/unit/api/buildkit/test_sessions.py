"""What the engine asks of a build's client over its session, and the client's answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright.api.buildkit.lending import SessionLender
from dockwright.api.buildkit.sessions import Headers, Session, Sessions
from dockwright.api.buildkit.stores import ClientStore
from dockwright.buildkit.connection import Caller, Served
from dockwright.buildkit.proto import content_pb2 as content
from dockwright.buildkit.proto.content_grpc import ContentBase
from dockwright.buildkit.proto.filesync_grpc import AuthBase
from dockwright.buildkit.proto.filesync_pb2 import (
    CredentialsRequest,
    CredentialsResponse,
    FetchTokenRequest,
    FetchTokenResponse,
    GetTokenAuthorityRequest,
    GetTokenAuthorityResponse,
    VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
)
from dockwright.buildkit.proto.secrets_grpc import SecretsBase
from dockwright.buildkit.proto.secrets_pb2 import GetSecretRequest, GetSecretResponse
from dockwright.buildkit.proto.sshforward_grpc import SSHBase
from dockwright.buildkit.proto.sshforward_pb2 import BytesMessage, CheckAgentRequest, CheckAgentResponse
from dockwright.credentials import Credentials, FetchedToken
from dockwright.errors import Conflict, Corrupt, Invalid, NotFound, Unavailable
from dockwright.oci import Descriptor, mediatypes
from dockwright.oci import digest as digests


class Secrets(SecretsBase):
    async def GetSecret(self, stream: Stream[GetSecretRequest, GetSecretResponse]) -> None:
        request = await stream.recv_message()
        assert request is not None
        if request.ID == "long":
            await stream.send_message(GetSecretResponse(data=b"x" * (600 << 10)))
        elif request.ID == "token":
            await stream.send_message(GetSecretResponse(data=b"secret"))
        else:
            raise GRPCError(Status.NOT_FOUND, "no such secret")


class Auth(AuthBase):
    async def Credentials(self, stream: Stream[CredentialsRequest, CredentialsResponse]) -> None:
        request = await stream.recv_message()
        assert request is not None
        answers = {
            "registry-1.docker.io": CredentialsResponse(Username="hub", Secret="word"),
            "tokens.example": CredentialsResponse(Secret="refresh"),
        }
        await stream.send_message(answers.get(request.Host, CredentialsResponse()))

    async def FetchToken(self, stream: Stream[FetchTokenRequest, FetchTokenResponse]) -> None:
        raise GRPCError(Status.UNIMPLEMENTED)

    async def GetTokenAuthority(self, stream: Stream[GetTokenAuthorityRequest, GetTokenAuthorityResponse]) -> None:
        raise GRPCError(Status.UNIMPLEMENTED)

    async def VerifyTokenAuthority(
        self, stream: Stream[VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse]
    ) -> None:
        raise GRPCError(Status.UNIMPLEMENTED)


class Fetching(Auth):
    """Has a key, and tokens for one realm."""

    async def FetchToken(self, stream: Stream[FetchTokenRequest, FetchTokenResponse]) -> None:
        request = await stream.recv_message()
        assert request is not None
        if request.Realm != "https://tokens.test/":
            raise GRPCError(Status.UNKNOWN, "out of reach")
        token = f"{request.Host} {request.Service} {' '.join(request.Scopes)}"
        await stream.send_message(FetchTokenResponse(Token=token, ExpiresIn=77))

    async def GetTokenAuthority(self, stream: Stream[GetTokenAuthorityRequest, GetTokenAuthorityResponse]) -> None:
        request = await stream.recv_message()
        assert request is not None
        if request.Host == "off.example":
            raise GRPCError(Status.UNAVAILABLE, "client side tokens disabled")
        assert len(request.Salt) == 32
        await stream.send_message(GetTokenAuthorityResponse(PublicKey=b"k" * 32))


class Agent(SSHBase):
    """Answers everything in capitals."""

    async def CheckAgent(self, stream: Stream[CheckAgentRequest, CheckAgentResponse]) -> None:
        request = await stream.recv_message()
        if request is None or request.ID != "default":
            raise GRPCError(Status.UNKNOWN, "unset ssh forward key")
        await stream.send_message(CheckAgentResponse())

    async def ForwardAgent(self, stream: Stream[BytesMessage, BytesMessage]) -> None:
        while (message := await stream.recv_message()) is not None:
            await stream.send_message(BytesMessage(data=message.data.upper()))


class Store(ContentBase):
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    async def Info(self, stream: Stream[content.InfoRequest, content.InfoResponse]) -> None:
        request = await stream.recv_message()
        assert request is not None
        if request.digest not in self.blobs:
            raise GRPCError(Status.NOT_FOUND, "not found")
        await stream.send_message(content.InfoResponse(info=content.Info(digest=request.digest)))

    async def Read(self, stream: Stream[content.ReadContentRequest, content.ReadContentResponse]) -> None:
        request = await stream.recv_message()
        assert request is not None
        if request.digest not in self.blobs:
            raise GRPCError(Status.NOT_FOUND, "not found")
        data = self.blobs[request.digest]
        for start in range(0, len(data), 1000):
            await stream.send_message(content.ReadContentResponse(offset=start, data=data[start : start + 1000]))

    async def Write(self, stream: Stream[content.WriteContentRequest, content.WriteContentResponse]) -> None:
        written = b""
        while (request := await stream.recv_message()) is not None:
            written += request.data
            if request.action == content.COMMIT:
                self.blobs[request.expected] = written
            await stream.send_message(content.WriteContentResponse(action=request.action, offset=len(written)))


@asynccontextmanager
async def client(*services: object, name: str = "one") -> AsyncIterator[Sessions]:
    """Sessions with one client, that has the `services`."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    near_transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
    far_transport, _ = await loop.create_connection(asyncio.Protocol, sock=far)
    served = Served(far_transport, services)  # type: ignore[arg-type]
    caller = Caller(near_transport)
    methods = [method for service in services for method in service.__mapping__()]  # type: ignore[attr-defined]
    sessions = Sessions()
    try:
        with sessions.opened(Session(Headers(name, "", "key", frozenset(one.lower() for one in methods)), caller)):
            yield sessions
    finally:
        caller.close()
        await served.wait()


async def test_secrets_come_from_the_client(tmp_path: Path) -> None:
    async with client(Secrets()) as sessions:
        lender = SessionLender(sessions, "one", tmp_path)
        assert await lender.secret("token") == b"secret"
        assert await lender.secret("other") is None
        with pytest.raises(Invalid, match="longer than"):
            await lender.secret("long")


async def test_a_client_that_offers_nothing_lends_nothing(tmp_path: Path) -> None:
    async with client() as sessions:
        lender = SessionLender(sessions, "one", tmp_path)
        assert await lender.secret("token") is None
        assert await lender.credential("docker.io") is None
        async with lender.agent("default") as agent:
            assert agent is None


async def test_credentials_are_passwords_or_tokens(tmp_path: Path) -> None:
    async with client(Auth()) as sessions:
        lender = SessionLender(sessions, "one", tmp_path)
        hub = await lender.credential("docker.io")
        assert hub is not None
        assert (hub.username, hub.password) == ("hub", "word")
        token = await lender.credential("tokens.example")
        assert token is not None
        assert token.identity_token == "refresh"
        assert await lender.credential("nobody.example") is None


async def test_bytes_go_to_the_clients_agent_and_back(tmp_path: Path) -> None:
    async with client(Agent()) as sessions:
        lender = SessionLender(sessions, "one", tmp_path)
        async with lender.agent("other") as agent:
            assert agent is None
        async with lender.agent("default") as agent:
            assert agent is not None
            for word in (b"first", b"second"):
                reader, writer = await asyncio.open_unix_connection(agent)
                writer.write(word)
                assert await reader.readexactly(len(word)) == word.upper()
                writer.write_eof()
                assert await reader.read() == b""
                writer.close()
    assert not list(tmp_path.iterdir())


async def test_what_fails_beside_an_agent_fails_as_it_is(tmp_path: Path) -> None:
    async with client(Agent()) as sessions:
        with pytest.raises(Invalid):
            async with SessionLender(sessions, "one", tmp_path).agent("default"):
                raise Invalid("no")


async def test_an_agent_is_let_go_of_while_somebody_still_speaks_to_it(tmp_path: Path) -> None:
    async with client(Agent()) as sessions:
        async with SessionLender(sessions, "one", tmp_path).agent("default") as agent:
            assert agent is not None
            reader, writer = await asyncio.open_unix_connection(agent)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"X"
        assert await reader.read() == b""
        writer.close()


async def test_a_client_that_has_gone_is_no_client(tmp_path: Path) -> None:
    async with client(Secrets()) as sessions:
        session = await sessions.find("one")
        session.caller.close()
        with pytest.raises(Unavailable, match="has gone"):
            await SessionLender(sessions, "one", tmp_path).secret("token")


async def test_a_session_is_waited_for_and_its_name_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from dockwright.api.buildkit import arrivals as module

    async with client() as sessions:
        found = await sessions.find("prefix:one")
        assert found.id == "one"
        with pytest.raises(Conflict):
            sessions.check(found.headers)
        monkeypatch.setattr(module, "WAIT_LIMIT_S", 0.01)
        with pytest.raises(Unavailable, match="no active session for two"):
            await sessions.find("two")


async def test_caches_are_read_from_and_written_to_the_clients_store() -> None:
    store = Store()
    data = b"layer" * 1000
    blob = Descriptor(mediatypes.OCI_LAYER, digests.of(data), len(data))
    manifest = b'{"schemaVersion":2,"layers":[]}'
    described = Descriptor(mediatypes.OCI_MANIFEST, digests.of(manifest), len(manifest))

    async def opened(offset: int) -> AsyncIterator[bytes]:
        yield data[offset : offset + 3000]
        yield data[offset + 3000 :]

    async with client(store) as sessions:
        writer = ClientStore(sessions, "one", "local:/cache")
        await writer.put(blob, opened)  # type: ignore[arg-type]
        await writer.put(blob, lambda offset: pytest.fail("it is there already"))
        await writer.finish(described, manifest)
        assert writer.finished == described
        assert store.blobs == {blob.digest: data, described.digest: manifest}

        reader = ClientStore(sessions, "one", "local:/cache", described.digest)
        assert await reader.manifest() == (described, manifest)
        assert b"".join([chunk async for chunk in reader.blob(blob)]) == data
        with pytest.raises(NotFound):
            await reader.document(Descriptor(mediatypes.OCI_MANIFEST, digests.of(b"other"), 5))
        store.blobs[described.digest] = b"something else"
        with pytest.raises(Corrupt):
            await reader.manifest()


async def test_a_client_that_fetches_tokens_keeps_its_password(tmp_path: Path) -> None:
    async with client(Fetching()) as sessions:
        lender = SessionLender(sessions, "one", tmp_path)
        hub = await lender.credential("docker.io")
        assert hub is not None
        assert (hub.username, hub.password) == ("", "")
        assert hub == await lender.credential("docker.io")
        assert hub.fetcher is not None
        token = await hub.fetcher.token("https://tokens.test/", "service", ["a", "b"])
        assert token == FetchedToken("registry-1.docker.io service a b", 77.0)
        assert await hub.fetcher.token("https://elsewhere.test/", "", []) is None
        assert await hub.fetcher.credentials() == Credentials("hub", "word")
        assert "word" not in repr(hub)
        assert await lender.credential("off.example") is None
