"""Where a build's files come from: directories of the client, what it uploads, addresses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

from grpclib.exceptions import GRPCError, StreamTerminatedError

from dockwright import archive, workers
from dockwright.api.buildkit import layouts
from dockwright.api.buildkit.attributes import Asked
from dockwright.api.buildkit.lending import SessionLender
from dockwright.api.buildkit.locals import Locals, seen_in
from dockwright.api.buildkit.sessions import Session, Sessions
from dockwright.api.buildkit.stores import ClientStore
from dockwright.build import Context, Steps
from dockwright.build.progress import Work
from dockwright.buildkit.filesync import Wanted
from dockwright.buildkit.proto.upload_grpc import UploadStub
from dockwright.engine import Engine
from dockwright.errors import Corrupt, Invalid, NotFound, Unavailable, Unsupported
from dockwright.ignoring import Patterns, read_ignore_file
from dockwright.oci import platform as platforms

# What a client calls something that it uploads.
_UPLOADED = "http://buildkit-session/"
# What we call something that came as the body of a request.
SENT = "http://buildkit-body/"
_LOCAL, _INPUT, _LAYOUT = "local:", "input:", "oci-layout:"
_IGNORE = ".dockerignore"
# As much as tells an archive from a text.
_HEAD_BYTES = 512
# A path that is never asked for: with nothing but it, nothing is sent.
_NOTHING = (_IGNORE,)


@dataclass(frozen=True)
class Contexts:
    """Those of one build. What they give is there until `stack` unwinds."""

    engine: Engine
    sessions: Sessions
    locals: Locals
    session_id: str
    lender: SessionLender
    steps: Steps
    stack: AsyncExitStack
    asked: Asked

    @property
    def address(self) -> str:
        """Where the main context is, when it is no directory of the client."""
        return self.asked.text(self.asked.text("contextkey", "context"))

    @property
    def is_here(self) -> bool:
        """Whether the main context is no directory of the client."""
        return bool(self.address) or "context" in self.asked.trees

    async def remote(self) -> Context:
        """The main context at its address. Raises as `Sources.context`."""
        if self.asked.text("contextsubdir"):
            raise Unsupported("a subdirectory of the context (contextsubdir): write it into the address")
        address, name = self.address, self.asked.filename
        if (tree := self.asked.trees.get("context")) is not None:
            return await workers.quick(Context.at, tree, name)
        with self.steps.work("[internal] load remote build context"):
            if address.startswith((_UPLOADED, SENT)):
                return await self._uploaded(address, name)
            keep = {"1": True, "true": True}.get(self.asked.options.arguments.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", ""))
            sources = self.engine.builder.sources
            entering = sources.context(address, name, self.lender, keep_git_dir=keep)
            return await self.stack.enter_async_context(entering)

    async def dockerfile(self, work: Work) -> Path:
        """The client's directory of the Dockerfile, with what is read of it."""
        name = self.asked.filename
        follow = [name, f"{name}{_IGNORE}"]
        if name.rpartition("/")[2] == "Dockerfile":
            follow.append(name[: -len("Dockerfile")] + "dockerfile")
        wanted = Wanted(self.asked.text("dockerfilekey", "dockerfile"), follow=tuple(follow))
        return await self.directory(wanted, work, "transferring dockerfile:")

    async def ignored(self, name: str, own: bytes, title: str) -> Patterns:
        """What the ignore file of the client's directory `name` leaves out; `own` goes before it."""
        with self.steps.work(title) as work:
            if not own:
                root = await self.directory(Wanted(name, follow=_NOTHING), work, "transferring context:")
                found = await workers.quick(first, root, [_IGNORE])
                own = found or b""
        return read_ignore_file(own.decode(errors="replace"))

    async def main(self, ignored: Patterns, paths: frozenset[str] | None) -> Context:
        """The client's directory; of it only what `paths` lead to, where they are known."""
        follow = () if paths is None else tuple(sorted(paths)) or _NOTHING
        with self.steps.work("[internal] load build context") as work:
            wanted = Wanted("context", exclude=tuple(ignored.lines), follow=follow)
            return await self.copied(wanted, work, "transferring context:", ignored)

    async def named(self) -> dict[str, Context | str]:
        """What names stand for. Raises `Unsupported` for what cannot be."""
        return {name: await self._named(name, value) for name, value in self.asked.contexts.items()}

    async def _named(self, name: str, value: str) -> Context | str:
        if value.startswith(_LOCAL):
            directory = value.removeprefix(_LOCAL)
            ignored = await self.ignored(directory, b"", f"[context {name}] load {_IGNORE}")
            with self.steps.work(f"[context {name}] load from client") as work:
                wanted = Wanted(directory, exclude=tuple(ignored.lines))
                return await self.copied(wanted, work, f"transferring {name}:", ignored)
        if value.startswith(_LAYOUT):
            store, digest = layouts.store_of(value)
            found = ClientStore(self.sessions, self.session_id, store, digest)
            platform = self.asked.options.platform or platforms.host()
            with self.steps.work(f"[context {name}] load from client"):
                image = await self.stack.enter_async_context(layouts.taken(self.engine.images, found, platform))
            return f"docker-image://{image}"
        return value

    async def copied(self, wanted: Wanted, work: Work, part: str, ignored: Patterns) -> Context:
        """A directory of the client as a context. Raises as `Locals.synced`."""
        root = await self.directory(wanted, work, part)
        return Context(root, ignored, seen_in(root))

    async def directory(self, wanted: Wanted, work: Work, part: str) -> Path:
        """A directory of the client, as it is now. Raises as `Locals.synced`."""
        session = await self._session(wanted.name)
        size = 0
        work.moved(part)

        def moved(size_bytes: int) -> None:
            nonlocal size
            size = size_bytes
            work.moved(part, size)

        root = await self.stack.enter_async_context(self.locals.synced(session, wanted, moved))
        work.moved(part, size, ended=True)
        return root

    async def _session(self, name: str) -> Session:
        return await self.sessions.find(self.asked.text(f"local-sessionid:{name}", self.session_id))

    async def _uploaded(self, address: str, dockerfile: str) -> Context:
        folder = await self.stack.enter_async_context(self.engine.builder.place())
        chunks = await self.stack.enter_async_context(aclosing(self._upload(address)))
        begin = b""
        while len(begin) < _HEAD_BYTES and (chunk := await anext(chunks, b"")):
            begin += chunk
        if archive.is_packed(begin):
            try:
                await archive.write(folder, "/", _joined(begin, chunks), owner=(0, 0))
            except Corrupt as error:
                raise Invalid(f"the build's context cannot be read: {error}") from error
        else:
            text = begin + b"".join([chunk async for chunk in chunks])
            await workers.quick((folder / dockerfile.rpartition("/")[2]).write_bytes, text)
        return await workers.quick(Context.at, folder, dockerfile)

    async def _upload(self, address: str) -> AsyncGenerator[bytes, None]:
        if address.startswith(SENT):
            async with aclosing(self.sessions.bodies.take(address.removeprefix(SENT))) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        session = await self.sessions.find(self.session_id)
        host, _, path = address.removeprefix("http://").partition("/")
        try:
            metadata = {"urlpath": "/" + path, "urlhost": host}
            async with UploadStub(session.caller).Pull.open(metadata=metadata) as stream:
                await stream.send_request()
                await stream.end()
                while (message := await stream.recv_message()) is not None:
                    yield message.data
        except GRPCError as error:
            raise Unavailable(f"the client does not upload the context: {error.message}") from error
        except (ConnectionError, StreamTerminatedError) as error:
            raise Unavailable("the client has gone while it uploaded the context") from error


def first(root: Path, names: list[str]) -> bytes | None:
    """The first file there is of `names` in `root`. Blocking."""
    for name in names:
        try:
            return Context(root).read(name)
        except NotFound:
            continue
    return None


async def _joined(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begin
    async for chunk in rest:
        yield chunk
