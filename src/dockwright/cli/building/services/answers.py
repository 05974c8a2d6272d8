"""What our services answer when this side fails: a status with the reason, never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from dockwright.buildkit.errors import answering
from dockwright.errors import HostFailure

P = ParamSpec("P")
T = TypeVar("T")


def answers(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorator of a service's method: errors of ours and of the system become statuses."""

    @answering
    @wraps(call)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except ConnectionError:
            raise  # the engine has gone: nobody hears
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise HostFailure(f"{place}{(error.strerror or str(error)).lower()}") from error

    return answer
