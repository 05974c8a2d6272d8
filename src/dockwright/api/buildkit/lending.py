"""What a build's client lends over its session: secrets, ssh agents, who it is to registries."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from grpclib.client import Stream
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from dockwright import workers
from dockwright.api.buildkit.accounts import SessionAccount
from dockwright.api.buildkit.sessions import Session, Sessions
from dockwright.build.lending.lender import SECRET_LIMIT_BYTES
from dockwright.buildkit.proto.secrets_grpc import SecretsStub
from dockwright.buildkit.proto.secrets_pb2 import GetSecretRequest
from dockwright.buildkit.proto.sshforward_grpc import SSHStub
from dockwright.buildkit.proto.sshforward_pb2 import BytesMessage, CheckAgentRequest
from dockwright.credentials import Credentials
from dockwright.errors import Invalid, Unavailable
from dockwright.tasks import Background
from dockwright.undo import UndoStack

_GONE = (ConnectionError, StreamTerminatedError)
_HUB = "docker.io"
# How BuildKit calls Docker's hub to its clients.
_HUB_HOST = "registry-1.docker.io"
_CHUNK = 32 * 1024


class SessionLender:
    """Asks the client of a session. `directory` is on the exec root: sockets of agents are below it."""

    def __init__(self, sessions: Sessions, session_id: str, directory: Path) -> None:
        self._sessions, self._session_id, self._directory = sessions, session_id, directory

    async def secret(self, id: str) -> bytes | None:
        """As `Lender.secret`."""
        session = await self._session("/moby.buildkit.secrets.v1.Secrets/GetSecret")
        if session is None:
            return None
        try:
            found = (await SecretsStub(session.caller).GetSecret(GetSecretRequest(ID=id))).data
        except GRPCError as error:
            if error.status == Status.NOT_FOUND:
                return None
            raise Unavailable(f"the client, asked for the secret {id}: {error.message}") from error
        except _GONE as error:
            raise Unavailable(f"the client has gone, and with it the secret {id}") from error
        if len(found) > SECRET_LIMIT_BYTES:
            raise Invalid(f"the secret {id} is longer than {SECRET_LIMIT_BYTES} bytes")
        return found

    @asynccontextmanager
    async def agent(self, id: str) -> AsyncIterator[Path | None]:
        """As `Lender.agent`: a socket of ours, whose connections the client carries to its agent."""
        session = await self._session("/moby.sshforward.v1.SSH/CheckAgent")
        if session is None or not await _has_agent(session, id):
            yield None
            return
        folder = self._directory / secrets.token_hex(8)
        async with UndoStack() as undo, Background("ssh agent") as connections:
            undo.push_undo(workers.quick, _remove, folder)
            await workers.quick(folder.mkdir, mode=0o700, parents=True)
            agent = _Agent(session, id, connections)
            server = await asyncio.start_unix_server(agent.connected, folder / "agent")
            try:
                yield folder / "agent"
            finally:
                server.close()

    async def credential(self, domain: str) -> Credentials | None:
        """As `Lender.credential`."""
        session = await self._session("/moby.filesync.v1.Auth/Credentials")
        if session is None:
            return None
        account = SessionAccount(session, _HUB_HOST if domain == _HUB else domain)
        if await account.fetches_tokens():
            return Credentials(fetcher=account)
        found = await account.credentials()
        return None if found.empty else found

    async def _session(self, method: str) -> Session | None:
        if not self._session_id:
            return None
        session = await self._sessions.find(self._session_id)
        return session if session.answers(method) else None


async def _has_agent(session: Session, id: str) -> bool:
    try:
        await SSHStub(session.caller).CheckAgent(CheckAgentRequest(ID=id))
    except GRPCError:
        return False
    except _GONE as error:
        raise Unavailable(f"the client has gone, and with it the ssh agent {id}") from error
    return True


class _Agent:
    """Connections of one step to one agent."""

    def __init__(self, session: Session, id: str, connections: Background) -> None:
        self._session, self._id, self._connections = session, id, connections

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.start(self._carry(reader, writer), name=self._id)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stub = SSHStub(self._session.caller)
        try:
            async with stub.ForwardAgent.open(metadata={"buildkit.ssh.id": self._id}) as stream:
                await stream.send_request()
                async with asyncio.TaskGroup() as group:
                    answering = group.create_task(_answer(stream, writer))
                    while data := await reader.read(_CHUNK):
                        await stream.send_message(BytesMessage(data=data))
                    await stream.end()
                    await answering
        except (GRPCError, *_GONE):
            pass  # the program in the step sees its agent hang up
        except ExceptionGroup as failed:
            _, rest = failed.split((GRPCError, *_GONE))
            if rest is not None:
                raise rest from None
        finally:
            writer.close()


async def _answer(stream: Stream[BytesMessage, BytesMessage], writer: asyncio.StreamWriter) -> None:
    while (message := await stream.recv_message()) is not None:
        writer.write(message.data)
        await writer.drain()


def _remove(folder: Path) -> None:
    (folder / "agent").unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()
