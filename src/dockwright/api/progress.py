"""Long work told as a stream of JSON: its first failure has a status, later ones are lines of the stream."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from aiohttp import web

from dockwright.api.call import Call
from dockwright.errors import DockwrightError, HostFailure, StartFailed

log = logging.getLogger(__name__)
Message = dict[str, object]


async def tell(call: Call, messages: AsyncGenerator[Message, None]) -> web.StreamResponse:
    """Answer with `messages`. A client that goes away cancels the work: the generator is closed.

    The first message is awaited before the head is sent, so that what fails at once is an error with a status.
    """
    async with aclosing(messages):
        message = await anext(messages, None)
        response = await call.stream("application/json")
        try:
            while message is not None:
                await response.write(_line(message))
                message = await anext(messages, None)
        except DockwrightError as error:
            await response.write(_line(failure(error)))
        except ConnectionError:  # nobody is there to be told
            raise
        except (OSError, sqlite3.Error) as error:  # a full disk, mostly: too late for a status
            log.exception("%s %s", call.request.method, call.request.path)
            await response.write(_line(failure(HostFailure(str(error)))))
        await response.write_eof()
    return response


def failure(error: DockwrightError) -> Message:
    """An error as the last line of a stream, with the exit code of a build's command that failed.

    Others have no `code`: for 401 Docker's client would say its own words instead.
    """
    detail: Message = {"message": str(error)}
    if isinstance(error, StartFailed):
        detail["code"] = error.exit_code
    return {"errorDetail": detail, "error": str(error)}


def _line(message: Message) -> bytes:
    return msgspec.json.encode(message) + b"\r\n"
