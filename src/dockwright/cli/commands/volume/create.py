"""`volume create`: make a volume."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import Arguments, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_CLUSTER = (
    Flag("availability", "Of a cluster volume: 'active', 'pause' or 'drain'", default="active", since="1.42"),
    Flag("group", "Group of a cluster volume", since="1.42"),
    Flag("limit-bytes", "Of a cluster volume: its size at most", kind="bytes", default=0, since="1.42"),
    Flag("required-bytes", "Of a cluster volume: its size at least", kind="bytes", default=0, since="1.42"),
    Flag("scope", "Of a cluster volume: used on one node ('single') or more ('multi')", default="single", since="1.42"),
    Flag("secret", "Secret for the plugin of a cluster volume, KEY=SECRET", kind="map", default="map[]", since="1.42"),
    Flag("sharing", "Of a cluster volume: 'none', 'readonly', 'onewriter' or 'all'", default="none", since="1.42"),
    Flag("topology-preferred", "Where a cluster volume should be reachable, KEY=VALUE,…", kind="list", since="1.42"),
    Flag("topology-required", "Where a cluster volume must be reachable, KEY=VALUE,…", kind="list", since="1.42"),
    Flag("type", "Of a cluster volume: 'block' or 'mount'", default="block", since="1.42"),
)


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.options.environment import label

    name = arguments[0] if arguments else ""
    config: dict[str, Any] = {"Name": name, "Driver": options.text("driver")}
    if options.many("opt"):
        config["DriverOpts"] = dict(options.many("opt"))
    if options.many("label"):
        pairs = [label(text).partition("=") for text in options.many("label")]
        config["Labels"] = {key: value for key, _, value in pairs}
    if options.any_given(*(flag.name for flag in _CLUSTER)):
        config["ClusterVolumeSpec"] = _cluster(options)
    session.line(session.client.json(volumes.create(config))["Name"])


def _cluster(options: Options) -> dict[str, Any]:
    """The specification of a cluster volume. Raises `errors.Invalid`."""
    mode: dict[str, Any] = {"Scope": options.text("scope"), "Sharing": options.text("sharing")}
    if options.text("type") not in ("block", "mount"):
        raise errors.Invalid(f"invalid type of a cluster volume: {options.text('type')}")
    mode["BlockVolume" if options.text("type") == "block" else "MountVolume"] = {}

    def topologies(flag: str) -> list[dict[str, Any]]:
        rows = [[field.partition("=") for field in text.split(",")] for text in options.many(flag)]
        return [{"Segments": {key: value for key, _, value in row}} for row in rows]

    return {
        "Group": options.text("group"),
        "AccessMode": mode,
        "Availability": options.text("availability"),
        "CapacityRange": {
            "RequiredBytes": options.number("required-bytes"),
            "LimitBytes": options.number("limit-bytes"),
        },
        "Secrets": [{"Key": key, "Secret": secret} for key, secret in options.many("secret")],
        "AccessibilityRequirements": {
            "Requisite": topologies("topology-required"),
            "Preferred": topologies("topology-preferred"),
        },
    }


COMMAND = Command(
    ("volume create",),
    "Make a volume",
    "[OPTIONS] [VOLUME]",
    run,
    arguments=Arguments(0, 1),
    flags=(
        Flag("driver", "Driver that keeps it", short="d", default="local"),
        Flag("label", "A label, NAME=VALUE", kind="list"),
        Flag(
            "opt",
            "An option of the driver, e.g. type=tmpfs, device=tmpfs, o=size=100m",
            short="o",
            kind="map",
            default="map[]",
        ),
        *_CLUSTER,
    ),
)
