"""`build`: an image out of a Dockerfile."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_ISOLATIONS = ("", "default")


def run(session: Session, options: Options, arguments: list[str]) -> int:
    session.debug = session.debug or options.on("debug")
    if options.text("isolation") not in _ISOLATIONS:
        raise errors.Invalid(f"invalid isolation: {options.text('isolation')}: Linux has only the default one")
    if options.text("builder") not in ("", "default"):
        raise errors.Unsupported(
            f"no builder {options.text('builder')!r} found: the engine is the only builder (default)"
        )
    if options.text("on-fail") not in ("", "shell"):
        raise errors.Invalid(f"invalid --on-fail {options.text('on-fail')}: only shell is there")
    if options.text("on-fail") and not (os.isatty(0) and os.isatty(1)):
        raise errors.Invalid("--on-fail shell needs a terminal for standard input and output")
    why = _why_classic(session, options)
    if why:
        from dockwright.cli.building import classic

        classic.run(session, options, arguments[0], why)
        return 0
    from dockwright.cli.building import running

    return running.run(session, options, arguments[0])


def _why_classic(session: Session, options: Options) -> str:
    """Why the build goes over `POST /build`; empty where it goes over BuildKit's protocol."""
    for name in ("squash", "security-opt"):
        if options.given(name) and options.value(name):
            return f"--{name} is there without it only"
    if os.environ.get("DOCKER_BUILDKIT", "1").lower() in ("0", "false"):
        return "DOCKER_BUILDKIT=0 turns it off"
    return "" if session.client.builder_version >= 2 else "the engine does not offer it"


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
        Flag("allow", "Allow the steps more: network.host or security.insecure", kind="list"),
        Flag("annotation", "An annotation for the image, as [TYPE:]KEY=VALUE", kind="list"),
        Flag("attest", "What the image says about its making, e.g. type=provenance,mode=max", kind="list"),
        Flag("build-arg", "Set a variable that the Dockerfile declares with ARG", kind="list"),
        Flag("build-context", "One more context, as NAME=DIRECTORY or NAME=URL", kind="list"),
        Flag("builder", "The builder to use: only default is there"),
        Flag(
            "cache-from", "Where to take steps from: an image, or type=TYPE,KEY=VALUE", kind="stringSlice", convert=str
        ),
        Flag("cache-to", "Where to put steps for others, as type=TYPE,KEY=VALUE", kind="list"),
        Flag("call", "Ask something instead of building: check, outline or targets", default="build"),
        Flag("cgroup-parent", "The cgroup to run the steps below"),
        Flag("check", "Check the Dockerfile instead of building", kind="bool"),
        Flag("compress", "Compress what is sent (a local engine gains nothing by it)", kind="bool", hidden=True),
        Flag("cpu-period", "Length of a CPU period, in microseconds", kind="int64", default=0),
        Flag("cpu-quota", "CPU time in a period, in microseconds", kind="int64", default=0),
        Flag("cpu-shares", "CPU time relative to others", short="c", kind="int64", default=0),
        Flag("cpuset-cpus", "CPUs to use, e.g. 0-2,5"),
        Flag("cpuset-mems", "Memory nodes to use, e.g. 0,1"),
        Flag("debug", "Print all about warnings, and what goes wrong on the wire", short="D", kind="bool"),
        Flag("explain", "Say of each step that was built what differs from when it was last built", kind="bool"),
        Flag("file", "The Dockerfile, - for standard input (default: Dockerfile in PATH)", short="f", complete="files"),
        Flag("force-rm", "Keep nothing of steps that failed (nothing ever is)", kind="bool", hidden=True),
        Flag("iidfile", "Write the image's ID to this file", complete="files"),
        Flag("isolation", "How steps are isolated: only the default"),
        Flag("keep-times", "Leave the times of files as they are, as Docker does", kind="bool"),
        Flag("label", "A label for the image", kind="list"),
        Flag(
            "load", "Put the image into the engine's store (it always is, unless --output says otherwise)", kind="bool"
        ),
        Flag("memory", "Memory of a step", short="m", kind="bytes", default=0),
        Flag("memory-swap", "Memory and swap of a step together, -1 for no limit", kind="bytes", default=0),
        Flag("metadata-file", "Write what is known of the result to this file, as JSON", complete="files"),
        Flag("network", "Network of the steps: default, none or host", default="default"),
        Flag("no-cache", "Run every step", kind="bool"),
        Flag("no-cache-filter", "Run every step of this stage", kind="list"),
        Flag("on-fail", "What to do when a step fails: shell opens one in what the step left"),
        Flag("output", "Where the result goes, as type=TYPE,dest=PATH or a directory", short="o", kind="list"),
        Flag("platform", "Platforms of the image, e.g. linux/arm64", repeats=True),
        Flag("print", "The same as --call", hidden=True),
        Flag("progress", "How to show progress: auto, none, plain, quiet, rawjson or tty", default="auto"),
        Flag("provenance", "Short for --attest type=provenance"),
        Flag("pull", "Look for newer base images first", kind="bool"),
        Flag("push", "Push the image to its registry", kind="bool"),
        Flag("quiet", "Print the image's ID alone", short="q", kind="bool"),
        Flag("rm", "Keep nothing of steps that are done (nothing ever is)", kind="bool", default=True, hidden=True),
        Flag("sbom", "Short for --attest type=sbom"),
        Flag("secret", "Lend the steps a secret, as id=ID[,src=FILE|env=NAME]", kind="list"),
        Flag("security-opt", "Security options of the steps", kind="stringSlice"),
        Flag("shm-size", "Size of /dev/shm in the steps", kind="bytes", default=0),
        Flag("ssh", "Lend the steps an ssh agent, as default or ID=SOCKET or ID=KEY,KEY", kind="list"),
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
