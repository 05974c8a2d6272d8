"""`volume update`: change a cluster volume."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    found = session.client.json(volumes.inspect(arguments[0])).get("ClusterVolume")
    if not found:
        raise errors.Invalid("can only update cluster volumes")
    spec = dict(found.get("Spec") or {})
    if options.given("availability"):
        spec["Availability"] = options.text("availability")
    session.client.run(volumes.update(found["ID"], version=found["Version"]["Index"], spec=spec))


COMMAND = Command(
    ("volume update",),
    "Change a cluster volume",
    "[OPTIONS] VOLUME",
    run,
    arguments=ONE,
    flags=(
        Flag("availability", "Whether it may be used: 'active', 'pause' or 'drain'", default="active", since="1.42"),
    ),
    completes=("volumes",),
    since="1.42",
)
