"""An empty sandbox: a namespace with lo up, for networks whose links are moved into it afterwards."""

from __future__ import annotations

from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink
from dockwright.network.teardown import Remains, Teardown
from dockwright.undo import shielded


async def make_sandbox(namespaces: Namespaces, teardown: Teardown) -> str:
    """Make one and return its name. A failed or cancelled call leaves nothing. Raises `HostFailure`."""
    made: list[str] = []

    async def make() -> None:
        made.append(await namespaces.run(lambda: _make(namespaces)))

    try:
        await shielded(make())
    except BaseException:
        if made:
            teardown.add(Remains(sandbox=made[0]))
        raise
    return made[0]


def _make(namespaces: Namespaces) -> str:
    name = namespaces.create()
    try:
        with Netlink() as inner:
            inner.set_up(1)
    except BaseException:
        namespaces.remove(name)
        namespaces.enter_host()
        raise
    return name
