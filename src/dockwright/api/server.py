"""The HTTP side of the daemon: dispatch, version gates, headers, errors."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from aiohttp import web

import dockwright
from dockwright import errors as meanings
from dockwright.api import errors, versions
from dockwright.api.buildkit.solves import Buildkit
from dockwright.api.call import Call
from dockwright.api.hijack import AlreadySent
from dockwright.api.routes import ROUTER

if TYPE_CHECKING:
    from dockwright.engine import Engine

log = logging.getLogger(__name__)

_SWARM = "Swarm is"
_TO_COME = {
    "plugins": "plugins are",
} | dict.fromkeys(("swarm", "nodes", "services", "tasks", "secrets", "configs"), _SWARM)


class Daemon:
    """One engine behind HTTP. `handle` is the handler of an aiohttp low-level server."""

    def __init__(self, engine: Engine, *, debug: bool = False) -> None:
        self.engine = engine
        self.debug = debug
        self.buildkit = Buildkit(engine)

    def server(self) -> web.Server:
        """A server for any number of sockets. A client that goes away cancels what it alone asked for."""
        return _Server(
            self.handle,
            handler_cancellation=True,
            keepalive_timeout=60.0,
            max_line_size=1 << 20,
            max_field_size=1 << 17,
            access_log=None,
        )

    def headers(self, response: web.StreamResponse) -> None:
        """The headers every answer carries."""
        response.headers["Api-Version"] = versions.text(versions.NEWEST)
        response.headers["Docker-Experimental"] = "false"
        response.headers["Ostype"] = os.uname().sysname.lower()
        response.headers["Server"] = f"Dockwright/{dockwright.__version__} (linux)"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; every failure becomes an answer."""
        try:
            response = await self._dispatch(request)
        except meanings.DockwrightError as error:
            if errors.status(error) >= 500:
                log.error("%s %s: %s", request.method, request.path, error)
            response = errors.response(error)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except web.HTTPException as error:
            response = errors.response(meanings.Invalid(error.reason), error.status)
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            response = errors.response(meanings.HostFailure(f"internal error: {type(error).__name__}: {error}"), 500)
        if not response.prepared and not isinstance(response, AlreadySent):
            self.headers(response)
        return response

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        version, path = versions.split(request.rel_url.raw_path)
        versions.check(version)
        route, parameters, known = ROUTER.find(request.method, path)
        if route is None:
            if known:
                return errors.response(meanings.Invalid("method not allowed"), 405)
            return errors.response(meanings.NotFound(_absent(path)))
        log.debug("%s %s", request.method, request.path_qs)
        return await route.handler(Call(request, self, version, parameters))


def _absent(path: str) -> str:
    """What to tell about a path that nothing answers: whether it is Docker's and is to come, or nobody's."""
    what = _TO_COME.get(path.split("/")[1] if path.startswith("/") else "")
    return f"page not found: {what} not part of this release" if what else "page not found"


class _Connection(web.RequestHandler):
    """Answers what is no HTTP at all as every other error: `{"message": …}`, and the connection ends."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer has been sent already")
        first = (message or "bad request").strip().partition("\n")[0].rstrip(":")
        log.debug("refused what a client sent: %s", first)
        response = errors.response(meanings.Invalid(f"malformed HTTP request: {first[:200]}"), status)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)
