"""`context show`: the name of the context in force."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client.endpoint import context_name

    session.line(context_name(session.config, session.host, session.context))


COMMAND = Command(("context show",), "Print the name of the context in force", "", run, arguments=NO_ARGUMENTS)
