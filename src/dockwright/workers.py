"""Where blocking work runs: worker threads, in two pools so that long work never starves short work.

`quick` is for calls of micro- to milliseconds (mounts, renames, small files, netlink); `bulk` for hashing, unpacking and
copying. Nothing in either pool waits for something else in the same pool.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_quick = ThreadPoolExecutor(max_workers=8, thread_name_prefix="quick")
_bulk = ThreadPoolExecutor(max_workers=max(4, (os.cpu_count() or 2) * 2), thread_name_prefix="bulk")


async def quick(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run short blocking `work` in a thread; cancelled, it waits for the work's end first, so that an undo finds it done."""
    return await finished(asyncio.get_running_loop().run_in_executor(_quick, partial(work, *args, **kwargs)))


async def bulk(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run long blocking `work` in a thread; cancelled, it waits for the work's end first, so that an undo finds it done."""
    return await finished(asyncio.get_running_loop().run_in_executor(_bulk, partial(work, *args, **kwargs)))


async def acquired(work: Callable[P, T], release: Callable[[T], object], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `quick`, for work whose result must be given back: when cancelled, `release(result)` runs."""
    future = asyncio.get_running_loop().run_in_executor(_quick, partial(work, *args, **kwargs))
    try:
        return await finished(future)
    except asyncio.CancelledError:
        if future.exception() is None:
            release(future.result())
        raise


async def finished(future: asyncio.Future[T]) -> T:
    """The result of a future that cannot be stopped. A cancellation is raised once it is done, not before."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        future.exception()  # retrieved: the cancellation outranks it
        raise cancelled
    return future.result()
