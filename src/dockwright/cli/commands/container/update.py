"""`update`: change the limits and the restart policy of containers."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command, ExitStatus
from dockwright.cli.flags import Flag
from dockwright.cli.main import describe
from dockwright.cli.options.container_flags import RESOURCES
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.options.assemble import HOST_FIELDS
    from dockwright.cli.options.limits import restart_policy

    if not options.given_flags():
        raise errors.Invalid("you must provide one or more flags when using this command")
    change: dict[str, Any] = {
        HOST_FIELDS[flag.name]: options.value(flag.name) for flag in RESOURCES if options.given(flag.name)
    }
    if options.given("restart"):
        change["RestartPolicy"] = restart_policy(options.text("restart"))
    for option, key in (("publish-add", "PublishAdd"), ("publish-rm", "PublishRemove")):
        if options.given(option):
            change[key] = _bindings(option, options.many(option))
    if options.given("mount-add"):
        change["MountAdd"] = [_mount(text) for text in options.many("mount-add")]
    if options.given("mount-rm"):
        change["MountRemove"] = options.many("mount-rm")
    warnings: list[str] = []
    failed: list[str] = []
    for name in arguments:
        try:
            answer = session.client.json(containers.update(name, change)) or {}
        except errors.DockwrightError as error:
            failed.append(describe(error))
            continue
        session.line(name)
        warnings += answer.get("Warnings") or []
    if warnings:
        session.line("\n".join(warnings))
    if failed:
        raise ExitStatus(1, "\n".join(failed))


def _bindings(option: str, specs: list[str]) -> dict[str, Any]:
    """Ports to publish, or those to withdraw: a host port alone is enough there."""
    from dockwright.cli.options import ports

    if option == "publish-add":
        return ports.bindings(specs)
    return ports.withdrawals(specs)


def _mount(text: str) -> dict[str, Any]:
    """`src=/srv,dst=/data` as `run --mount` reads it; a path for a source makes it a bind. Raises `errors.Invalid`."""
    from dockwright.cli.options.mounts import mount

    given = {field.partition("=")[0].strip().lower(): field.partition("=")[2] for field in text.split(",")}
    source = given.get("source") or given.get("src") or ""
    if "type" not in given and source.startswith(("/", ".")):
        text = f"type=bind,{text}"
    try:
        return mount(text)
    except ValueError as error:
        raise errors.Invalid(f'invalid argument "{text}" for "--mount-add" flag: {error}') from error


COMMAND = Command(
    ("container update", "update"),
    "Change the limits and restart policy of one or more containers",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        *RESOURCES,
        Flag("mount-add", "Mount something at once, e.g. src=/srv,dst=/data or type=tmpfs,dst=/scratch", kind="list"),
        Flag("mount-rm", "Take away at once what is mounted at this path", kind="list"),
        Flag("publish-add", "Publish one more port at once, [[IP:]HOST_PORT:]PORT[/PROTO]", kind="list"),
        Flag("publish-rm", "Publish a port no longer, [IP:]HOST_PORT[:PORT][/PROTO]", kind="list"),
        Flag("restart", "When to start again after an exit: no, on-failure[:MAX], always, unless-stopped"),
    ),
    completes=("containers",),
)
