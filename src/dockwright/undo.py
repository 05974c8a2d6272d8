"""The one way to run an undo: shielded, awaited to its end, within a limit of its own.

In asyncio a second `cancel()` that arrives while an `AsyncExitStack` unwinds cuts the running callback short, and the
mount, rule or row it was removing stays. `shielded` runs the undo in a task of its own and keeps waiting for it however
often the waiter is cancelled; the cancellation is re-raised once the undo is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

UNDO_LIMIT_S = 30.0


async def shielded(undo: Coroutine[Any, Any, T], *, limit_s: float | None = UNDO_LIMIT_S) -> T:
    """Run `undo` to its end, whatever happens to the caller.

    Raises what the undo raises; `TimeoutError` when it takes longer than `limit_s` seconds (it is cancelled then; None is
    no limit); `CancelledError`, after the undo has ended, when the caller was cancelled meanwhile.
    """
    # The one place that may start a task bare: it is awaited below, to its end, on every path.
    task = asyncio.get_running_loop().create_task(_limited(undo, limit_s))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # retrieved: the cancellation outranks it
        raise cancelled
    return task.result()


async def _limited(undo: Coroutine[Any, Any, T], limit_s: float | None) -> T:
    async with asyncio.timeout(limit_s):
        return await undo


class UndoStack(AsyncExitStack):
    """An `AsyncExitStack` that unwinds shielded.

    Push an undo the moment its resource is acquired (before the step, where the step's outcome may be unknown: undos are
    idempotent). `release()` hands everything over to a new owner on success. Several failing undos do not hide each
    other: every one runs, as in `AsyncExitStack`.

        async with UndoStack() as undo:
            netns = await network.attach(...)
            undo.push(network.detach, netns)
            ...
            held = undo.release()
    """

    _released = False

    def __init__(self, *, limit_s: float | None = UNDO_LIMIT_S) -> None:
        """`limit_s` bounds all undos together; None where they remove so much that no time can be named."""
        super().__init__()
        self._limit_s = limit_s

    def push_undo(self, undo: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run `undo(*args, **kwargs)` when the stack unwinds."""
        self.push_async_callback(undo, *args, **kwargs)

    def release(self) -> UndoStack:
        """Move every undo to a new stack, which the caller now owns.

        Leaving this one then awaits nothing: a cancellation cannot come between the release and the new owner.
        """
        self._released = True
        held = self.pop_all()
        held._limit_s = self._limit_s
        return held

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._released:
            return
        unwind = super().__aexit__
        # `AsyncExitStack.__aexit__` reads no exception state of its own: it is safe to run it in another task.
        await shielded(unwind(kind, error, trace), limit_s=self._limit_s)  # an undo never swallows what made it run
