"""`context update`: change what a context says."""

from __future__ import annotations

from dockwright.cli.command import ONE, Command
from dockwright.cli.commands.context.create import FLAGS, apply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client.contexts import Store, check_name

    name, store = arguments[0], Store(session.config.directory)
    check_name(name)
    context = store.get(name)
    tls = None
    if options.given("description"):
        context.description = options.text("description")
    if options.given("docker"):
        context.host, context.skip_tls_verify = "", False
        tls = apply(session, context, options.many("docker"))
    store.put(context, tls)
    session.line(name)
    session.error(f'Successfully updated context "{name}"')


COMMAND = Command(
    ("context update",),
    "Change what a context says",
    "[OPTIONS] CONTEXT",
    run,
    arguments=ONE,
    flags=FLAGS,
    completes=("contexts",),
)
