"""Engine API client: bytes in and values out at the core, a synchronous and an asynchronous face over it.

    http1, multiplex, wirejson     the protocol, without a socket in sight
    calls/                         every endpoint once, as a function that returns a `Call`
    endpoint, contexts, config     where the engine is, as Docker's configuration says it
    tls, ssh                       ways to reach it, imported when used
    sync, aio                      the two faces: `Client` and `AsyncClient`

    with Client.from_environment() as client:
        for row in client.json(containers.list(all=True)):
            print(row["Id"])

Start-up time is a feature of the command line, which stands on `sync`: nothing imported here may pull in `socket`,
`ssl`, `json`, `re`, `typing` or `asyncio` before they are needed. `tests/unit/cli/test_startup.py` holds it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.client.aio import AsyncClient
    from dockwright.client.call import Call
    from dockwright.client.endpoint import Endpoint
    from dockwright.client.errors import ResponseError
    from dockwright.client.sync import Client

__all__ = ["AsyncClient", "Call", "Client", "Endpoint", "ResponseError"]

_HOMES = {
    "AsyncClient": "dockwright.client.aio",
    "Call": "dockwright.client.call",
    "Client": "dockwright.client.sync",
    "Endpoint": "dockwright.client.endpoint",
    "ResponseError": "dockwright.client.errors",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)
