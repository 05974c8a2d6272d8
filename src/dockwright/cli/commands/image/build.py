"""`build`: an image out of a Dockerfile."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import builds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_ISOLATIONS = ("", "default")


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.display.progress import show
    from dockwright.cli.registry_auth import all_as_header

    if options.text("isolation") not in _ISOLATIONS:
        raise errors.Invalid(f"invalid isolation: {options.text('isolation')}: Linux has only the default one")
    body, place = _context(arguments[0], options.text("file"))
    call = builds.build(body, auth=all_as_header(session), **place, **_parameters(options))
    results = show(session, session.client.send(call).values(), quiet=options.on("quiet"))
    image = next((found["ID"] for found in reversed(results) if "ID" in found), "")
    if options.on("quiet"):
        session.line(image)
    if path := options.text("iidfile"):
        with open(path, "w", encoding="ascii") as file:
            file.write(image)


def _context(source: str, dockerfile: str) -> tuple[Any, dict[str, Any]]:
    """The body to send, and where the engine finds the Dockerfile."""
    if source.startswith(("http://", "https://", "git://", "git@", "github.com/")) and not os.path.exists(source):
        return None, {"remote": source, "dockerfile": dockerfile}
    from dockwright.cli import build_context

    if source == "-" and dockerfile == "-":
        raise errors.Invalid("invalid argument: can't use stdin for both build context and dockerfile")
    found = build_context.of_stdin(dockerfile) if source == "-" else build_context.of_directory(source, dockerfile)
    return found.body, {"dockerfile": found.dockerfile}


def _parameters(options: Options) -> dict[str, Any]:
    return {
        "t": options.many("tag"),
        "q": options.on("quiet"),
        "nocache": options.on("no-cache"),
        "pull": options.on("pull"),
        "rm": options.on("rm"),
        "forcerm": options.on("force-rm"),
        "buildargs": _arguments(options.many("build-arg")),
        "labels": dict(text.partition("=")[::2] for text in options.many("label")),
        "cachefrom": _as_json(options.many("cache-from")),
        "extrahosts": ",".join(options.many("add-host")),
        "networkmode": "" if options.text("network") == "default" else options.text("network"),
        "platform": options.text("platform") or os.environ.get("DOCKER_DEFAULT_PLATFORM", ""),
        "target": options.text("target"),
        "memory": options.number("memory"),
        "memswap": options.number("memory-swap"),
        "shmsize": options.number("shm-size"),
        "cpuperiod": options.number("cpu-period"),
        "cpuquota": options.number("cpu-quota"),
        "cpushares": options.number("cpu-shares"),
        "cpusetcpus": options.text("cpuset-cpus"),
        "cpusetmems": options.text("cpuset-mems"),
        "cgroupparent": options.text("cgroup-parent"),
        "ulimits": _as_json(options.many("ulimit")),
        "securityopt": _as_json(options.many("security-opt")),
        "squash": options.on("squash"),
    }


def _arguments(given: list[str]) -> dict[str, str | None]:
    """`NAME=VALUE`, or `NAME` of a variable of ours; one that is not set here is sent as such."""
    pairs = (text.partition("=") for text in given)
    return {name: value if equals else os.environ.get(name) for name, equals, value in pairs}


def _as_json(values: list[Any]) -> str:
    import json

    return json.dumps(values) if values else ""


def _ulimit(text: str) -> dict[str, Any]:
    from dockwright.cli.options.limits import ulimit

    return ulimit(text)


COMMAND = Command(
    ("image build", "build", "builder build"),
    "Make an image out of a Dockerfile",
    "[OPTIONS] PATH | URL | -",
    run,
    arguments=ONE,
    about=(
        "The files of PATH are sent to the engine, without what its .dockerignore leaves out. A step whose inputs have not\n"
        "changed since it was last built is taken from the cache; stages that need nothing of each other run side by side."
    ),
    flags=(
        Flag("add-host", "One more line of /etc/hosts for the steps, as name:address", kind="list"),
        Flag("build-arg", "Set a variable that the Dockerfile declares with ARG", kind="list"),
        Flag("cache-from", "Images to take steps from", kind="stringSlice"),
        Flag("cgroup-parent", "The cgroup to run the steps below"),
        Flag("compress", "Compress what is sent (a local engine gains nothing by it)", kind="bool", hidden=True),
        Flag("cpu-period", "Length of a CPU period, in microseconds", kind="int64", default=0),
        Flag("cpu-quota", "CPU time in a period, in microseconds", kind="int64", default=0),
        Flag("cpu-shares", "CPU time relative to others", short="c", kind="int64", default=0),
        Flag("cpuset-cpus", "CPUs to use, e.g. 0-2,5"),
        Flag("cpuset-mems", "Memory nodes to use, e.g. 0,1"),
        Flag("file", "The Dockerfile, - for standard input (default: Dockerfile in PATH)", short="f", complete="files"),
        Flag("force-rm", "Keep nothing of steps that failed (nothing ever is)", kind="bool", hidden=True),
        Flag("iidfile", "Write the image's ID to this file", complete="files"),
        Flag("isolation", "How steps are isolated: only the default"),
        Flag("label", "A label for the image", kind="list"),
        Flag("memory", "Memory of a step", short="m", kind="bytes", default=0),
        Flag("memory-swap", "Memory and swap of a step together, -1 for no limit", kind="bytes", default=0),
        Flag("network", "Network of the steps: default, none or host", default="default"),
        Flag("no-cache", "Run every step", kind="bool"),
        Flag("platform", "Platform of the image, e.g. linux/arm64"),
        Flag("pull", "Look for newer base images first", kind="bool"),
        Flag("quiet", "Print the image's ID alone", short="q", kind="bool"),
        Flag("rm", "Keep nothing of steps that are done (nothing ever is)", kind="bool", default=True, hidden=True),
        Flag("security-opt", "Security options of the steps", kind="stringSlice"),
        Flag("shm-size", "Size of /dev/shm in the steps", kind="bytes", default=0),
        Flag("squash", "Put all new layers into one", kind="bool"),
        Flag("tag", "Name the image, as name:tag; may be repeated", short="t", kind="list"),
        Flag("target", "Build this stage"),
        Flag(
            "ulimit",
            "Limits of the steps' processes, e.g. nofile=1024:2048",
            kind="ulimit",
            convert=_ulimit,
            repeats=True,
        ),
    ),
    completes=("files",),
)
