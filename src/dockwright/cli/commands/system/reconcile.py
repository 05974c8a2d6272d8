"""`system reconcile`: bridges, rules, links, ports and names as they should be."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.client.calls import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    found = session.client.json(system.reconcile()) or {}
    for warning in found.get("Warnings") or []:
        session.error(f"WARNING: {warning}")


COMMAND = Command(
    ("system reconcile",),
    "Make the host's networks agree with what the engine knows",
    "",
    run,
    arguments=NO_ARGUMENTS,
    about=(
        "Makes bridges, packet filter rules, links and published ports again that somebody else removed\n"
        "(`nft flush ruleset`, `ip link delete`), while containers run. The engine does it by itself when it starts."
    ),
)
