"""When a failed request is made again: exponential back-off with jitter, and no sooner than the registry asked for."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.refusals import Interrupted

T = TypeVar("T")

log = logging.getLogger(__name__)


def delay_s(failures: int, options: RegistryOptions) -> float:
    """The wait after the `failures`-th failure in a row: between a half and the whole of the doubled delay."""
    longest = min(options.max_delay_s, options.first_delay_s * 2.0 ** min(failures - 1, 30))
    return longest * random.uniform(0.5, 1.0)


class Attempts:
    """The attempts of one piece of work: counts failures in a row, and waits between them."""

    def __init__(self, options: RegistryOptions, what: str) -> None:
        self._options = options
        self._what = what
        self._failures = 0

    def progressed(self) -> None:
        """The work came forward: the count begins anew."""
        self._failures = 0

    async def failed(self, error: Interrupted) -> None:
        """Wait until the next attempt. Raises `error` when there is to be none."""
        self._failures += 1
        if self._failures >= self._options.max_attempts:
            raise error
        wait = delay_s(self._failures, self._options)
        if error.retry_after_s is not None:
            if error.retry_after_s > self._options.max_wait_s:
                raise error
            wait = max(wait, error.retry_after_s)
        log.info("%s: %s; again in %.1f s", self._what, error, wait)
        await asyncio.sleep(wait)


async def persistently(options: RegistryOptions, what: str, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, which is done again after a passing failure. Raises what the last attempt raised."""
    attempts = Attempts(options, what)
    while True:
        try:
            return await work()
        except Interrupted as error:
            await attempts.failed(error)
