"""`context inspect`: everything about contexts."""

from __future__ import annotations

from dockwright.cli.command import ANY_NUMBER, Command
from dockwright.cli.display.inspection import FORMAT_HELP, show
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_IN_MEMORY = "<IN MEMORY>"


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client.endpoint import context_name

    names = arguments or [context_name(session.config, session.host, session.context)]
    show(session, names, lambda name: _found(session, name), options.text("format"))


def _found(session: Session, name: str) -> dict[str, Any]:
    from dockwright.client.contexts import Context, Store
    from dockwright.client.endpoint import default_endpoint

    store = Store(session.config.directory)
    if name == "default":
        meta: dict[str, Any] = Context(name, host=default_endpoint(session.config, session.host).url).to_meta()
        return {**meta, "TLSMaterial": {}, "Storage": {"MetadataPath": _IN_MEMORY, "TLSPath": _IN_MEMORY}}
    meta = store.meta(name)
    files = sorted(store.tls_files(name))
    return {
        **meta,
        "TLSMaterial": {"docker": files} if files else {},
        "Storage": {
            "MetadataPath": store.meta_dir(name),
            "TLSPath": store.tls_dir(name),
        },
    }


COMMAND = Command(
    ("context inspect",),
    "Show everything about one or more contexts",
    "[OPTIONS] [CONTEXT] [CONTEXT...]",
    run,
    arguments=ANY_NUMBER,
    flags=(Flag("format", FORMAT_HELP, short="f"),),
    completes=("contexts",),
)
