"""`push`: send an image, or all tags of a repository, to a registry."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.display.progress import show
    from dockwright.cli.platforms import as_json
    from dockwright.cli.registry_auth import header
    from dockwright.oci import reference

    name, quiet = reference.parse(arguments[0]), options.on("quiet")
    if options.on("all-tags") and (name.tag or name.digest):
        raise errors.Invalid("tag can't be used with --all-tags/-a")
    if name.digest:
        raise errors.Invalid("cannot push a digest reference")
    if not options.on("all-tags"):
        if not (name.tag or quiet):
            session.line(f"Using default tag: {reference.DEFAULT_TAG}")
        name = name.tagged
    if options.text("platform"):
        session.error("Only this platform goes, without attestations: leave --platform out to push the whole image")
    call = images.push(
        name.familiar_name,
        tag=name.tag or "",
        platform=as_json(options.text("platform")),
        auth=header(session, name.domain),
    )
    results = show(session, session.client.send(call).values(), quiet=quiet)
    for result in results:
        _tell_what_was_left_out(session, result)
    if quiet:
        session.line(str(name))


def _tell_what_was_left_out(session: Session, result: Any) -> None:
    if isinstance(result, dict) and result.get("manifestPushedInsteadOfIndex"):
        session.error(
            "\nNot all platforms of this image are here: one of them was pushed alone, not the whole image\n"
            f"{(result.get('originalIndex') or {}).get('digest', '')} -> "
            f"{(result.get('selectedManifest') or {}).get('digest', '')}"
        )


COMMAND = Command(
    ("image push", "push"),
    "Send an image to a registry",
    "[OPTIONS] NAME[:TAG]",
    run,
    arguments=ONE,
    flags=(
        Flag("all-tags", "All tags of the repository", short="a", kind="bool"),
        Flag("platform", "Only this platform of an image that has several, e.g. linux/arm64", since="1.46"),
        Flag("quiet", "Print the name only", short="q", kind="bool"),
    ),
    completes=("images",),
)
