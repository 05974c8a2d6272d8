"""Whether our builds are dockerd's: the same Dockerfiles built by both give the same files and the same configuration.

    python -m bench.equal [--dockerd PATH]

Builds the classic way (`POST /build`) and over BuildKit's protocol, with Debian's docker-buildx, on both engines: with dockerd
it is dockerd's own BuildKit that builds then. Times are not compared: ours are clamped on purpose. Ends with 1 when something
differs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench import debian, images, isolation
from bench.engines import DOCKER, Dockerd, Dockwright, Engine
from bench.row import IMAGE

NAME = "bench-equal"
CONFIG = "Env Cmd Entrypoint WorkingDir User ExposedPorts Volumes Labels StopSignal OnBuild Healthcheck Shell".split()
# What engines put into every container, and what is mounted over.
LEFT_OUT = ("dev", "proc", "sys", ".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab")
FILES = {
    "a.txt": "a",
    "run.sh": "#!/bin/sh\n",
    "dir/one": "1",
    "dir/deep/two": "2",
    "dir/left.tmp": "",
    ".dockerignore": "**/*.tmp\n!dir/kept.tmp\n",
    "dir/kept.tmp": "k",
    "space in name": "s",
    "br[ack]et": "b",
    "fake.gz": "\x1f\x8bnothing packed",
    "links/own": "o",
    "modes/setuid": "s",
    "modes/sticky": "t",
    "modes/none": "n",
    "modes/sub/group": "g",
}
LINKS = {"links/tofile": "../a.txt", "links/todir": "../dir", "links/nowhere": "/etc/nowhere"}
MODES = {"run.sh": 0o755, "modes/setuid": 0o4755, "modes/sticky": 0o1777, "modes/none": 0, "modes/sub": 0o2771}
# Dockerfiles without their FROM, for a dockerd of today.
TODAY = Path(__file__).with_name("today.dockerfiles")
# Understood by every builder.
CLASSIC = {
    "copy": "COPY a.txt /\nCOPY dir /d\nCOPY dir/ /e/\nCOPY a.txt run.sh /f/\nCOPY a.tx? /g/\nCOPY . /all\n",
    "owners": "COPY --chown=1000:50 dir /d\nRUN mkdir -m 777 /t\nUSER 1000\nRUN touch /t/mine\nCOPY a.txt /t/\n",
    "names": 'COPY ["space in name", "/to/another name"]\nADD a.txt /made/up/\n',
    "archives": "ADD packed.tgz /p\nCOPY packed.tgz /q/\n",
    "run": "RUN echo hi > /hi && ln -s hi /link && ln /hi /hard && mkfifo /fifo && chmod 4755 /hi\n"
    "RUN rm /etc/group && rm -r /home && mkdir /home\n",
    "workdir": "WORKDIR /a/b\nWORKDIR c\nCOPY a.txt .\nRUN pwd > where\n",
    "environment": 'ENV A=1 B="two words"\nENV C=${A}3 D=${NONE:-other}\nARG X=arg\nARG Y\n'
    "RUN echo $A $B $C $D $X $Y > /said\n",
    "configuration": (
        'LABEL one=1 "two"=\'2\'\nEXPOSE 80 443/tcp 53/udp\nVOLUME /v\nVOLUME ["/w"]\nUSER 1000:50\nSTOPSIGNAL SIGINT\n'
        'ENTRYPOINT ["/bin/sh"]\nCMD ["-c", "true"]\nHEALTHCHECK --interval=5s --retries=2 CMD true\nONBUILD RUN echo built\n'
    ),
    "shell": 'SHELL ["/bin/sh", "-e", "-c"]\nRUN echo with > /shell\nCMD echo shell\n',
    "commands": "CMD one\nENTRYPOINT two\nCMD three $HOME\n",
    "stages": f"RUN echo first > /first\nFROM {IMAGE} AS second\nCOPY --from=0 /first /copied\n"
    "FROM second\nRUN cat /copied > /last\n",
    "deleted": "RUN mkdir -p /x/y && touch /x/y/z /x/w\nRUN rm -r /x/y && mkdir /x/y && touch /x/y/new\nRUN rm /x/w\n",
    "scratch": "RUN true\nFROM scratch\nCOPY --from=0 /bin/busybox /bin/busybox\nCOPY --from=0 /etc /etc\n"
    'CMD ["/bin/busybox"]\n',
}
# BuildKit's alone, as old as dockerd 20.10's; that one leaves mount points in the image, and makes directories on the way
# without --chmod.
MODERN = {
    "mounts": "RUN mkdir /ctx /c /t\nRUN --mount=type=bind,target=/ctx cp /ctx/a.txt /b\n"
    "RUN --mount=type=cache,target=/c touch /c/x\nRUN --mount=type=tmpfs,target=/t touch /t/x\n",
    "chmod": "RUN mkdir /m\nCOPY --chmod=751 a.txt dir /m/\n",
}
# What came later: for a dockerd of today.
NEWEST = {
    "documents": "COPY <<one <<-two /\n1 $HOME\none\n\t2\ntwo\nRUN <<E\necho a > /a\necho b > /b\nE\n",
    # Without the containerd image store dockerd makes a plain COPY of it: no directory is made on the way by both.
    "links": "COPY --link a.txt /l/\nCOPY --link --chown=7:8 dir /k/d\nRUN echo x >> /l/a.txt\n",
    "modes on the way": "COPY --chmod=711 a.txt /x/m/\nCOPY --chmod=700 dir /y\nCOPY --chmod=u=rwx,go=r a.txt /z/m/\n",
    "symbolic modes": "COPY --chmod=u=rwX,go=r dir run.sh /m/\n",
    "expansion": "ARG V=a.b.tar.gz\nENV A=${V%.*} B=${V%%.*} C=${V#*.} D=${V##*.}\nENV E=${V/a/z} F=${V:+set}\nRUN echo $A\n",
    "unpacking": "ADD --unpack=false packed.tgz /p/\nADD --unpack=true --chmod=750 packed.tgz /q/\n",
    "wildcards": "COPY d*r/* /w/\nCOPY nothing* a.txt /v/\n",
    "destinations": "RUN mkdir /real && ln -s real /link && ln -s /nowhere/yet /far\nCOPY dir /link\nCOPY a.txt /far/\n",
}


def main() -> int:
    """Build everything with every engine; 1 when something differs."""
    parser = argparse.ArgumentParser("python -m bench.equal", description="Compare what dockerd and we build.")
    parser.add_argument(
        "--dockerd", default="", metavar="PATH", help="instead of the host's; debian:SUITE fetches Debian's"
    )
    options = parser.parse_args()
    if os.geteuid() != 0 or not (options.dockerd or Dockerd.installed()):
        print("bench: root and dockerd are needed", file=sys.stderr)
        return 2
    buildx = debian.fetch(debian.buildx)
    program = debian.fetch(lambda: Dockerd.at(options.dockerd)) if options.dockerd else "dockerd"
    if buildx is None or program is None:
        return 2
    isolation.enter(program="bench.equal")
    wrong = 0
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dwequal-")))
        ours, dockerd = (
            stack.enter_context(Dockwright(scratch / "ours")),
            stack.enter_context(Dockerd(scratch / "dockerd", program)),
        )
        archive = images.busybox_tar(scratch / "busybox.tar")
        for engine in (ours, dockerd):
            engine.import_image(archive, IMAGE)
        modern = MODERN | (NEWEST | _today() if options.dockerd else {})
        for way, client, cases in (("classic", DOCKER, CLASSIC), ("BuildKit", str(buildx), CLASSIC | modern)):
            for name, text in cases.items():
                # dockerd's classic builder loses setuid bits on the way, as it changes owners last.
                folder = _context(scratch / f"{name}-{way}", text, MODES if way == "BuildKit" else {"run.sh": 0o755})
                found = _differences(ours, dockerd, client, folder)
                wrong += bool(found)
                print(f"{way:<9} {name:<14} {'differs' if found else 'equal'}")
                for line in found:
                    print(f"    {line}")
    return 1 if wrong else 0


def _today() -> dict[str, str]:
    found: dict[str, str] = {}
    for part in TODAY.read_text().split("\n=== ")[1:]:
        name, _, text = part.partition("\n")
        found[name] = text + "\n"
    return found


def _context(folder: Path, text: str, modes: Mapping[str, int]) -> Path:
    folder.mkdir()
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("latin-1"))
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)
    for name, mode in modes.items():
        (folder / name).chmod(mode)
    with tarfile.open(folder / "packed.tgz", "w:gz") as tar:
        tar.addfile(_member("in/packed", 0o640, 7), io.BytesIO(b"p"))
    with tarfile.open(folder / "plain.tar", "w") as tar:
        tar.addfile(_member("top", 0o755, 11), io.BytesIO(b"t"))
        directory = _member("in", 0o711, 12)
        directory.type, directory.size = tarfile.DIRTYPE, 0
        tar.addfile(directory)
        tar.addfile(_member("in/plain", 0o600, 11), io.BytesIO(b"p"))
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\n{text}")
    return folder


def _member(name: str, mode: int, uid: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.uid = 1, mode, uid
    return member


def _differences(ours: Engine, dockerd: Engine, client: str, folder: Path) -> list[str]:
    seen = []
    for engine in (ours, dockerd):
        done = _docker(engine, client, "build", "-q", "-t", NAME, str(folder))
        if done.returncode:
            return [f"{engine.name}: {done.stderr.decode(errors='replace').strip()[-400:]}"]
        seen.append(_seen(engine))
        engine.remove_image(NAME)
    mine, theirs = seen
    return [
        f"{name}: ours {mine.get(name)}, dockerd {theirs.get(name)}"
        for name in sorted({*mine, *theirs})
        if mine.get(name) != theirs.get(name)
    ]


def _seen(engine: Engine) -> dict[str, object]:
    """The image's files and its configuration, by name."""
    config = engine.call("GET", f"/images/{NAME}/json")["Config"]
    found: dict[str, object] = {f"Config.{name}": config.get(name) or None for name in CONFIG}
    # The classic builder says nothing of it where BuildKit says `/`, which is the same; ours says what BuildKit does.
    found["Config.WorkingDir"] = config.get("WorkingDir") or "/"
    found["Config.Labels"] = json.dumps(config.get("Labels") or None, sort_keys=True)
    container = engine.create(NAME, ["none"])
    try:
        exported = _docker(engine, DOCKER, "export", container).stdout
    finally:
        engine.remove(container)
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        for member in tar:
            name = member.name.removeprefix("./").strip("/")
            if not name or name in LEFT_OUT or name.split("/")[0] in LEFT_OUT:
                continue
            file = tar.extractfile(member) if member.isfile() else None
            content = hashlib.sha256(file.read()).hexdigest()[:12] if file else member.linkname
            found[f"/{name}"] = (member.type, oct(member.mode & 0o7777), member.uid, member.gid, content)
    return found


def _docker(engine: Engine, client: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {
        "DOCKER_HOST": f"unix://{engine.socket}",
        "DOCKER_BUILDKIT": "0",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    }
    return subprocess.run([client, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
