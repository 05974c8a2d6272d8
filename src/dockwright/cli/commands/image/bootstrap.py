"""`image bootstrap`: a base image straight from a distribution's signed package archive."""

from __future__ import annotations

from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.display.progress import show

    call = images.bootstrap(
        arguments[0],
        tag=options.text("tag"),
        mirror=options.text("mirror"),
        archive_date=options.text("archive-date"),
        packages=options.many("package"),
    )
    results = show(session, session.client.send(call).values(), quiet=options.on("quiet"))
    for result in results:
        if isinstance(result, dict) and result.get("ID"):
            session.line(result["ID"])


COMMAND = Command(
    ("image bootstrap",),
    "Make a base image from a distribution's signed package archive",
    "[OPTIONS] DISTRIBUTION:RELEASE",
    run,
    arguments=ONE,
    flags=(
        Flag("archive-date", "The archive as it was then, e.g. 20260101T000000Z"),
        Flag("mirror", "Read the archive from this address instead of where the engine's host has its packages from"),
        Flag("package", "A package beyond the smallest set", kind="list"),
        Flag("quiet", "Print the id only", short="q", kind="bool"),
        Flag("tag", "Name of the image, instead of DISTRIBUTION:RELEASE", short="t"),
    ),
    about=(
        "No registry is asked: mmdebstrap on the engine's host puts the packages together, and apt verifies them against\n"
        "the distribution's key. The same state of the archive gives the same image id.\n\n"
        "  dockwright image bootstrap debian:bookworm\n"
        "  dockwright image bootstrap --package ca-certificates -t base:1 ubuntu:noble"
    ),
)
