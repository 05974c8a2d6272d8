"""The same command lines to Docker's own client and to ours, against the same engine: output, errors and exit codes alike.

Where a message names the program, Docker's says `docker` and ours `dockwright`; everything else is compared byte for byte.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.clients.cli.conftest import LIMIT_S, PROGRAM, Run

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("docker") is None, reason="docker is missing: there is nothing to compare with"),
]

LINES = [
    "ps -a --no-trunc --filter name={name}",
    "ps -as --filter name={name}",
    "ps --format json --filter name={name}",
    "ps -q --filter name={name}",
    r"""ps --filter name={name} --format 'table {{{{.ID}}}}\t{{{{.Names}}}}\t{{{{.Label "tier"}}}}'""",
    "ps --filter name={name} --format '{{{{json .}}}}'",
    "ps --format {{{{.Nope}}}}",
    "ps --format {{{{.ID",
    "ps --filter nope=1",
    "ps --nope",
    "ps -n x",
    "ps extra",
    "rename one",
    "inspect {name}",
    "inspect {name} nothere",
    "container inspect nothere",
    "inspect --format {{{{.Nope}}}} {name}",
    "inspect --format '{{{{.State.Health}}}} {{{{.HostConfig.Binds}}}} {{{{.HostConfig.NanoCPUs}}}}' {name}",
    "inspect --format '{{{{range $k, $v := .Config.Labels}}}}{{{{$k}}}}={{{{$v}}}} {{{{end}}}}' {name}",
    "inspect --format '{{{{json .State}}}}' {name}",
    "inspect --format '{{{{json .NetworkSettings.Ports}}}} {{{{.NetworkSettings.Ports}}}}' {name}",
    "port {name}",
    "port {name} 99",
    "diff {name}",
    "top {name} -o pid,args",
    "logs {name}",
    "logs -n 1 {name}",
    "logs nothere",
    "logs --since nonsense {name}",
    "exec {name} sh -c 'echo out; echo err >&2; exit 3'",
    "exec -it {name} true",
    "run --rm busybox sh -c 'echo out; echo err >&2; exit 7'",
    "run --rm -a stderr busybox sh -c 'echo out; echo err >&2'",
    "run --rm busybox nosuchprogram",
    "run --rm busybox /etc",
    "run -it busybox",
    "run --pull never nothere/image",
    "run --rm --restart always busybox",
    "run -p 99999:80 busybox",
    "run --name {name} busybox",
    "create --name ? busybox",
    "kill nothere {name}-no",
    "rm nothere",
    "rm -f nothere",
    "start nothere",
    "stop nothere",
    "wait nothere",
    "attach nothere",
    "cp nothere:/x /tmp",
    "cp a b",
    "images busybox",
    "images --digests --no-trunc busybox",
    "images --format json busybox",
    "images -q nothere",
    "image inspect busybox",
    "image inspect nothere",
    "history busybox",
    "history --no-trunc -H=false busybox",
    "tag nothere x",
    "rmi nothere",
    "save -o /nodir/x busybox",
    "system df --format '{{{{.Type}}}} {{{{.TotalCount}}}}'",
    "version --format '{{{{.Server.Version}}}}'",
    "info --format '{{{{.ServerVersion}}}} {{{{.NCPU}}}}'",
    "context ls",
    "context show",
    "context use nothere",
    "context rm default",
    "-H unix:///nothere.sock ps",
    "-H tcp://127.0.0.1:1 ps",
    "--nope",
]


@pytest.fixture(scope="module")
def container(request: pytest.FixtureRequest) -> Iterator[str]:
    """A container that all lines may look at and none changes."""
    socket = os.environ.get("DOCKWRIGHT_TEST_SOCKET") or str(request.getfixturevalue("daemon").socket)
    environment = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "PYTHONPATH": os.pathsep.join(sys.path)}
    script = "echo one; echo two >&2; mkdir /made; sleep 1000"
    labels = ["--label", "tier=db", "--label", "a=b"]
    words = ["run", "-d", "--name", "cli-beside", *labels, "--network", "none", "busybox", "sh", "-c", script]
    subprocess.run([*PROGRAM, *words], check=True, capture_output=True, env=environment)
    deadline = time.monotonic() + LIMIT_S
    while (
        b"/made"
        not in subprocess.run([*PROGRAM, "diff", "cli-beside"], check=True, capture_output=True, env=environment).stdout
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    yield "cli-beside"
    subprocess.run([*PROGRAM, "rm", "-f", "cli-beside"], check=True, capture_output=True, env=environment)


@pytest.mark.parametrize("line", LINES)
def test_both_clients_say_the_same(line: str, cli: Run, container: str, environment: dict[str, str]) -> None:
    words = shlex.split(line.format(name=container))
    for _ in range(3):
        theirs = subprocess.run(
            ["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=60
        )
        ours = cli(*words, check=False)
        if _comparable(ours.stdout) == _comparable(theirs.stdout):
            break  # else a second passed between the two, and a column became wider
    assert _comparable(ours.stdout) == _comparable(theirs.stdout)
    assert ours.stderr == re.sub(rb"\bdocker\b(?!/|\.| daemon)", b"dockwright", theirs.stderr)
    assert ours.returncode == theirs.returncode


def _comparable(output: bytes) -> bytes:
    """Without what moves on between two calls: how long ago something was."""
    return re.sub(rb"(\d+|Less than a|About a|About an) (second|minute|hour)s?", b"a while", output)
