"""Builds as people have them, by each face: Debian with apt, C linked into nothing but itself, Python with a cache for pip, a diamond
of forty stages, a repository of twenty thousand files, secrets and agents, a repository as the context.

What one face has built the others take from the cache, and their images are the same to the byte.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.clients.real_builds.conftest import Table
from tests.faces import Face
from tests.repositories import Repository, Server
from tests.webserver import Exchange, WebServer

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

# A step says `ran 7` when it runs; what the Dockerfile says of the step does not read so.
RAN, SAY_RAN = "ran 7", "echo ran $((3 + 4))"
# Every Dockerfile with a compiler or Python begins with it, and only the first of them runs it.
TOOLS = f"""\
FROM debian:test AS tools
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \\
    {SAY_RAN}; apt-get update -qq && apt-get install -qq -y --no-install-recommends gcc libc6-dev python3-pip >/dev/null
"""
PROGRAM = r"""
#include <stdio.h>
int main(void) { puts("from " WHERE); return 0; }
"""
STAGES, AT_ONCE = 38, 4
PACKAGES, FILES_EACH = 200, 100
WHEEL = "greeting-1.0-py3-none-any.whl"
# Asks the agent which keys it has, and wants one with this comment.
ASK_AGENT = (
    "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK']); "
    "s.sendall(bytes([0, 0, 0, 1, 11])); f = s.makefile('rb'); "  # an answer may come in pieces: its length goes before
    "assert b'key of a test' in f.read(int.from_bytes(f.read(4), 'big'))"
)


def write(root: Path, files: dict[str, str]) -> str:
    """A directory with these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


@pytest.mark.usefixtures("with_debian")
def test_packages_come_from_the_archive(by: Face, table: Table, tmp_path: Path) -> None:
    made = by.build(write(tmp_path / "c", {"Dockerfile": TOOLS}))
    assert (RAN in made.said) == table.is_first("apt", made)
    assert "gcc" in table.run(made, "gcc", "--version")
    script = "ls /var/lib/apt/lists /var/cache/apt | grep -v :; dpkg -s gcc | head -1"
    assert table.run(made, "sh", "-c", script).endswith("Package: gcc\n")


@pytest.mark.usefixtures("with_debian")
def test_a_program_in_c_needs_nothing_beside_it(by: Face, table: Table, tmp_path: Path) -> None:
    text = (
        TOOLS
        + f'COPY main.c /src/\nARG WHERE\nRUN {SAY_RAN}; gcc -static -O1 -DWHERE="\\"$WHERE\\"" -o /out /src/main.c\n'
        'FROM scratch\nCOPY --from=tools /out /program\nENTRYPOINT ["/program"]\n'
    )
    made = by.build("--build-arg", "WHERE=scratch", write(tmp_path / "c", {"Dockerfile": text, "main.c": PROGRAM}))
    assert (RAN in made.said) == table.is_first("c", made)
    assert table.run(made) == "from scratch\n"
    assert len(table.client.images.get(made.image).attrs["RootFS"]["Layers"]) == 1


@pytest.fixture(scope="module")
def index() -> Iterator[WebServer]:
    """A package index with one package."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        info = "greeting-1.0.dist-info"
        wheel.writestr("greeting.py", "def greet():\n    return 'hello from a wheel'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"greeting.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    content = packed.getvalue()
    link = f'<a href="/files/{WHEEL}#sha256={hashlib.sha256(content).hexdigest()}">{WHEEL}</a>'

    def answer(exchange: Exchange) -> None:
        if exchange.path == "/simple/greeting/":
            page = f"<!DOCTYPE html><html><body>{link}</body></html>"
            exchange.send(200, {"Content-Type": "text/html"}, page.encode())
        elif exchange.path == f"/files/{WHEEL}":
            exchange.send(200, {"Cache-Control": "max-age=31536000", "Date": formatdate(usegmt=True)}, content)
        else:
            exchange.send(404)

    with WebServer(answer) as server:
        yield server


@pytest.mark.usefixtures("with_debian")
def test_a_python_application_fetches_its_packages_once(
    by: Face, table: Table, index: WebServer, tmp_path: Path
) -> None:
    text = (
        TOOLS + f"WORKDIR /app\nCOPY requirements.txt .\nRUN --mount=type=cache,target=/root/.cache/pip {SAY_RAN};"
        f" pip install -q --disable-pip-version-check --break-system-packages --trusted-host 127.0.0.1 --index-url {index.url}/simple/"
        ' -r requirements.txt\nCOPY app.py .\nCMD ["python3", "app.py"]\n'
    )
    files = {
        "Dockerfile": text,
        "requirements.txt": "greeting==1.0\n",
        "app.py": "import greeting\nprint(greeting.greet())\n",
    }
    where = write(tmp_path / "c", files)
    made = by.build("--network", "host", where)
    assert (RAN in made.said) == table.is_first("python", made)
    assert table.run(made) == "hello from a wheel\n"
    assert table.run(made, "sh", "-c", "ls -A /root/.cache 2>/dev/null | wc -l") == "0\n"
    write(tmp_path / "c", {"requirements.txt": f"greeting==1.0 # for {by.name}\n"})
    again = by.build("--network", "host", where)
    assert RAN in again.said
    assert table.run(again) == "hello from a wheel\n"
    assert len(index.asked("GET /files/")) == 1, "the cache that is mounted has it"
    write(tmp_path / "c", {"requirements.txt": files["requirements.txt"], "app.py": "print('changed')\n"})
    changed = by.build("--network", "host", where)
    assert RAN not in changed.said
    assert table.run(changed) == "changed\n"


def test_a_diamond_of_forty_stages_is_built_side_by_side(by: Face, table: Table, tmp_path: Path) -> None:
    meet = "RUN --mount=type=cache,id=meeting,target=/meet"
    wait = (
        f"left=1200; until [ $(ls /meet | wc -l) -ge {AT_ONCE} ]; do"
        " left=$((left - 1)); [ $left -gt 0 ] || exit 9; sleep 0.05; done"
    )
    middle = [
        f"FROM top AS m{number}\n{meet} touch /meet/{number}; {wait}; echo {number} > /m{number}\n"
        for number in range(STAGES)
    ]
    copies = [f"COPY --from=m{number} /m{number} /all/\n" for number in range(STAGES)]
    text = f"FROM busybox AS top\n{meet} rm -f /meet/*\n{''.join(middle)}FROM top\n{''.join(copies)}"
    where = write(tmp_path / "c", {"Dockerfile": text})
    made = by.build("--no-cache", where)
    assert made.cached == 0
    table.is_first("diamond", made)
    assert sorted(table.run(made, "sh", "-c", "cat /all/*").split(), key=int) == [str(n) for n in range(STAGES)]
    again = by.build(where)
    assert again.image == made.image
    assert again.cached >= STAGES


@pytest.fixture(scope="module")
def monorepo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty thousand files, three of four ignored."""
    root = tmp_path_factory.mktemp("monorepo")
    for number in range(PACKAGES):
        folder = root / f"packages/p{number}/{'node_modules' if number % 4 else 'src'}"
        folder.mkdir(parents=True)
        for file in range(FILES_EACH):
            (folder / f"{file}.js").write_text(f"export default {number * FILES_EACH + file};\n")
    (root / "packages/p1/node_modules/kept.js").write_text("kept\n")
    (root / "debug.log").write_text("ignored\n")
    (root / ".dockerignore").write_text("# what is made\n**/node_modules\n!packages/p1/node_modules/kept.js\n*.log\n")
    (root / "Dockerfile").write_text("FROM busybox\nCOPY packages /src\nRUN find /src -type f | sort > /list\n")
    return root


def test_a_repository_of_twenty_thousand_files_is_sent_but_for_what_is_ignored(
    by: Face, table: Table, monorepo: Path
) -> None:
    changing = monorepo / "packages/p4/src/7.js"
    before = changing.read_text()
    made = by.build(str(monorepo))
    assert (made.cached == 0) == table.is_first("monorepo", made)
    listed = table.run(made, "cat", "/list").split()
    assert len(listed) == PACKAGES // 4 * FILES_EACH + 1
    assert [name for name in listed if "node_modules" in name] == ["/src/p1/node_modules/kept.js"]
    changing.write_text(f"export default '{by.name}';\n")
    changed = by.build(str(monorepo))
    assert table.run(changed, "cat", "/src/p4/src/7.js") == f"export default '{by.name}';\n"
    changing.write_text(before)
    (monorepo / "packages/p3/node_modules/0.js").write_text(by.name)
    again = by.build(str(monorepo))
    assert (again.image, again.cached) == (made.image, 2), "what is ignored changes nothing, and times do not"


def test_secrets_reach_the_step_and_no_layer(by: Face, table: Table, tmp_path: Path) -> None:
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=token,required=true grep -q .ecret-of-a-file /run/secrets/token\n"
        "RUN --mount=type=secret,id=word,env=WORD echo $WORD | grep -q .ecret-of-a-variable\n"
    )
    where = write(tmp_path / "c", {"Dockerfile": text})
    (tmp_path / "token").write_text("secret-of-a-file")
    secrets = ("--secret", f"id=token,src={tmp_path}/token", "--secret", "id=word,env=SOME_WORD")
    if by.name == "classic":
        assert "unknown flag: --secret" in by.refusal(*secrets, where, SOME_WORD="secret-of-a-variable")
        assert "token" in by.refusal(where)
        return
    made = by.build("--no-cache", *secrets, where, SOME_WORD="secret-of-a-variable")
    table.is_first("secrets", made)
    saved = b"".join(table.client.images.get(made.image).save())
    assert b"secret-of-a" not in made.said.encode() + saved
    assert "token" in by.refusal("--no-cache", where)


@pytest.fixture
def agent(tmp_path_factory: pytest.TempPathFactory, scratch: Path) -> Iterator[str]:
    """The socket of an agent that has one key."""
    home = tmp_path_factory.mktemp("agent")
    socket = str(scratch / "agent")
    try:
        running = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
    except FileNotFoundError:
        pytest.skip("OpenSSH's agent is missing")
    with running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline()
            key = home / "key"
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "key of a test", "-f", key], check=True
            )
            subprocess.run(["ssh-add", "-q", key], check=True, env={"SSH_AUTH_SOCK": socket})
            yield socket
        finally:
            running.terminate()


@pytest.mark.usefixtures("with_debian")
def test_a_step_asks_the_agent_of_the_client(by: Face, table: Table, agent: str, tmp_path: Path) -> None:
    steps = f'RUN --mount=type=ssh,required=true python3 -c "{ASK_AGENT}"\nRUN test -z "$SSH_AUTH_SOCK"\n'
    text = f"{TOOLS}FROM tools AS asking\n{steps}"
    where = write(tmp_path / "c", {"Dockerfile": text})
    if by.name == "classic":
        assert "unknown flag: --ssh" in by.refusal("--ssh", "default", where, SSH_AUTH_SOCK=agent)
        assert "ssh" in by.refusal(where)
        return
    made = by.build("--no-cache-filter", "asking", "--ssh", "default", where, SSH_AUTH_SOCK=agent)
    table.is_first("ssh", made)
    assert "ssh" in by.refusal("--no-cache-filter", "asking", where)


def test_a_repository_is_a_context(by: Face, table: Table, tmp_path: Path) -> None:
    with Server() as server:
        server.repositories["app"] = one = Repository(tmp_path / "app")
        one.commit({"in/Dockerfile": "FROM busybox\nCOPY a.txt /a\nCMD cat /a\n", "in/a.txt": "from git"}, tag="v1")
        one.commit({"in/a.txt": "later"})
        made = by.build(f"{server.address('app')}#v1:in")
        table.is_first("git", made)
        assert table.run(made) == "from git"
        assert table.run(by.build(f"{server.address('app')}#main:in")) == "later"
