"""`inspect`: everything the engine knows about a thing, whatever kind of thing it is."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.display.inspection import FORMAT_HELP, show
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers, images, system
from dockwright.client.errors import ResponseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session
    from dockwright.client.call import Call


def _kinds(size: bool) -> dict[str, Callable[[str], Call]]:
    """How to ask for each kind, in the order in which a name is looked for."""
    kinds: dict[str, Callable[[str], Call]] = {
        "container": lambda name: containers.inspect(name, size=size),
        "image": images.inspect,
    }
    for kind in ("network", "volume", "service", "task", "node", "plugin", "secret", "config"):
        kinds[kind] = _asking(f"{kind}s")
    return kinds


def _asking(path: str) -> Callable[[str], Call]:
    return lambda name: system.inspect(path, name)


def run(session: Session, options: Options, arguments: list[str]) -> None:
    kinds = _kinds(options.on("size"))
    wanted = options.text("type")
    if options.given("type") and wanted not in kinds:
        reason = "type is empty: must be one of" if not wanted else f'unknown type: "{wanted}": must be one of'
        raise errors.Invalid(_unknown(reason, sorted(kinds)))
    if wanted:
        kinds = {wanted: kinds[wanted]}
    if options.on("size") and wanted not in ("", "container"):
        session.error(f"WARNING: --size ignored for {wanted}")

    def get(name: str) -> Any:
        for call in kinds.values():
            try:
                return session.client.json(call(name))
            except ResponseError as error:
                # 501 and 503, and 500 of older engines: there is no swarm or plugin system to ask.
                if wanted or (call is kinds["container"] and not isinstance(error, errors.NotFound)):
                    raise
        raise errors.NotFound(name)

    show(session, arguments, get, options.text("format"), not_found="" if wanted else "No such object")


def _unknown(reason: str, kinds: list[str]) -> str:
    return reason + " " + ", ".join(f'"{kind}"' for kind in kinds)


COMMAND = Command(
    ("inspect",),
    "Show everything about containers, images and other things",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag("format", FORMAT_HELP, short="f"),
        Flag("size", "For a container, what it takes on disk too", short="s", kind="bool"),
        Flag("type", "Only things of this kind: container, image, network, volume …"),
    ),
    completes=("containers+images",),
)
