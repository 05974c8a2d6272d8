"""nftables in-process: `libnftables` through ctypes, one context in one thread.

A command text is one transaction: the kernel takes all of it or nothing (nft(8), "nft -f"). A round trip is about a
quarter of what starting an `nft` process costs.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from dockwright.errors import HostFailure, Unsupported

_OUTPUT_JSON = 1 << 4
_ABSENT = "No such file or directory"


class NftError(HostFailure):
    """The kernel or the parser refused a transaction; nothing of it was applied."""

    @property
    def absent(self) -> bool:
        """Whether it failed because the table, map or element it names is not there."""
        return _ABSENT in str(self)


def run_here(commands: str) -> None:
    """Apply `commands` in the network namespace this thread is in, all or nothing; about 0.3 ms. Blocking.

    Raises `NftError`, `Unsupported` where libnftables is not installed.
    """
    library = _load()
    with _one_at_a_time:
        context = library.nft_ctx_new(0)
        try:
            library.nft_ctx_buffer_output(context)
            library.nft_ctx_buffer_error(context)
            if library.nft_run_cmd_from_buffer(context, commands.encode()):
                raise _failure(library.nft_ctx_get_error_buffer(context) or b"")
        finally:
            library.nft_ctx_free(context)


#: The library keeps a cache of interface names that all contexts of a process share, without a lock of its own.
_one_at_a_time = threading.Lock()


@cache
def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        raise Unsupported("libnftables.so.1 is not installed (Debian package libnftables1)") from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


def _failure(error: bytes) -> NftError:
    return NftError(f"nftables: {error.decode(errors='replace').strip().splitlines()[0] if error else 'failed'}")


class Nft:
    """Runs transactions in the host's network namespace, one after another."""

    def __init__(self) -> None:
        """Raises `Unsupported` where libnftables is not installed."""
        self._library = _load()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nft")
        self._context: int | None = None
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._running = False

    async def run(self, commands: str) -> None:
        """Apply `commands`, all or nothing. Raises `NftError`. A cancelled caller does not stop it.

        Callers that come while a transaction runs share the next one; when that is refused, each gets one of its own.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((commands, future))
        if not self._running:
            self._start_next()
        await future

    async def read(self, command: str) -> list[dict[str, Any]]:
        """The answer to a `list` command as libnftables' JSON objects (libnftables-json(5))."""
        text = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, command)
        entries: list[dict[str, Any]] = json.loads(text)["nftables"] if text else []
        return entries

    def close(self) -> None:
        """End the thread after what was handed over. Safe to call twice."""
        self._thread.shutdown(wait=True)
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def _start_next(self) -> None:
        batch, self._waiting = self._waiting, []
        self._running = bool(batch)
        if batch:
            loop = asyncio.get_running_loop()
            done = loop.run_in_executor(self._thread, self._run_batch, [commands for commands, _ in batch])
            done.add_done_callback(lambda results: self._finished(batch, results))

    def _finished(
        self, batch: list[tuple[str, asyncio.Future[None]]], results: asyncio.Future[list[NftError | None]]
    ) -> None:
        broken = results.exception()
        outcomes: Sequence[BaseException | None] = [broken] * len(batch) if broken else results.result()
        for (_, future), error in zip(batch, outcomes, strict=True):
            if future.done():
                continue  # cancelled
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        self._start_next()

    def _run_batch(self, texts: list[str]) -> list[NftError | None]:
        try:
            self._run("\n".join(texts))
        except NftError as error:
            return [error] if len(texts) == 1 else [failure for text in texts for failure in self._run_batch([text])]
        return [None] * len(texts)

    def _run(self, commands: str) -> str:
        with _one_at_a_time:
            return self._run_alone(commands)

    def _run_alone(self, commands: str) -> str:
        library = self._library
        if self._context is None:
            self._context = library.nft_ctx_new(0)
            library.nft_ctx_buffer_output(self._context)
            library.nft_ctx_buffer_error(self._context)
            library.nft_ctx_output_set_flags(self._context, _OUTPUT_JSON)
        failed = library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output: bytes = library.nft_ctx_get_output_buffer(self._context) or b""
        error: bytes = library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise _failure(error)
        return output.decode()
