"""`context create`: give an engine a name."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session
    from dockwright.client.contexts import Context

FLAGS = (
    Flag("description", "What the context is for"),
    Flag(
        "docker",
        "Where the engine is: host=…, and for TLS ca=FILE, cert=FILE, key=FILE, skip-tls-verify=true; from=NAME copies",
        kind="stringToString",
    ),
)
_FILES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client.contexts import Context, Store, check_name

    name, store = arguments[0], Store(session.config.directory)
    check_name(name)
    if store.exists(name):
        raise errors.Conflict(f'context "{name}" already exists')
    source = options.text("from")
    context = Context(name)
    tls: dict[str, bytes] = {}
    if source or not options.given("docker"):
        context, tls = copied(session, source or current(session), name)
    if options.given("docker"):
        tls = {**tls, **apply(session, context, options.many("docker"))}
    if options.given("description"):
        context.description = options.text("description")
    store.put(context, tls)
    session.line(name)
    session.error(f'Successfully created context "{name}"')


def current(session: Session) -> str:
    from dockwright.client.endpoint import context_name

    return context_name(session.config, session.host, session.context)


def copied(session: Session, source: str, name: str) -> tuple[Context, dict[str, bytes]]:
    """A context like `source`, which may be `default`, under another name."""
    from dockwright.client.contexts import Context, Store
    from dockwright.client.endpoint import default_endpoint

    if source == "default":
        host = default_endpoint(session.config, session.host).url
        return Context(name, "Current DOCKER_HOST based configuration", host), {}
    store = Store(session.config.directory)
    context = store.get(source)
    context.name = name
    return context, store.tls_files(source)


def apply(session: Session, context: Context, settings: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """Change the endpoint of `context`; returns its certificate files. Raises `errors.Invalid`."""
    from dockwright.client.endpoint import Endpoint

    values: Mapping[str, str] = dict(settings)
    unknown = sorted(set(values) - {*_FILES, "host", "from", "skip-tls-verify"})
    if unknown:
        raise errors.Invalid(f"unable to create docker endpoint config: unrecognized config key: {unknown[0]}")
    tls: dict[str, bytes] = {}
    if "from" in values:
        like, tls = copied(session, values["from"], context.name)
        context.host, context.skip_tls_verify = like.host, like.skip_tls_verify
    context.host = values.get("host", context.host)
    if "skip-tls-verify" in values:
        from dockwright.cli.values import to_bool

        try:
            context.skip_tls_verify = to_bool(values["skip-tls-verify"])
        except ValueError as error:
            raise errors.Invalid(f"unable to create docker endpoint config: skip-tls-verify: {error}") from error
    for key, file_name in _FILES.items():
        if key in values:
            tls[file_name] = _read(values[key])
            if b"-----BEGIN " not in tls[file_name]:
                raise errors.Invalid(f"unable to create docker endpoint config: {file_name} seems invalid")
    if context.host:
        try:
            Endpoint.parse(context.host)
        except errors.Invalid as error:
            raise errors.Invalid(f"unable to create docker endpoint config: {error}") from error
    return tls


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise errors.Invalid(f"unable to create docker endpoint config: open {path}: {reason}") from error


COMMAND = Command(
    ("context create",),
    "Give an engine a name",
    "[OPTIONS] CONTEXT",
    run,
    arguments=ONE,
    flags=(*FLAGS, Flag("from", "Start from a copy of this context", complete="contexts")),
)
