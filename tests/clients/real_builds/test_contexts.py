"""What a build reads, in each way that a command line can say it, by each face: the Dockerfile on standard input with every kind of
context, the context itself on standard input or at an address, contexts by name. Where a face cannot say it, the table says so."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.archives import files
from tests.clients.real_builds.conftest import Table
from tests.faces import Face
from tests.repositories import Repository, Server
from tests.webserver import Exchange, WebServer

pytestmark = pytest.mark.root

OWN = "FROM busybox\nCOPY a.txt /said\n"
OTHER = "FROM busybox\nRUN --mount=target=/c echo other $(cat /c/a.txt) > /said\n"
GIVEN = b"FROM busybox\nRUN --mount=target=/c echo given $(cat /c/a.txt) > /said\n"
NAMED = b"FROM busybox\nCOPY --from=extra a.txt /said\n"
SENT = {"Dockerfile": OWN, "in/Other": OTHER, "a.txt": "sent"}
IGNORING = {
    "Dockerfile": "FROM busybox\nCOPY . /c\nRUN ls /c > /said\n",
    "a.txt": "",
    "b.txt": "",
    ".dockerignore": "b.*\nD*\n.d*",
}
# What the faces say of what they cannot.
NO_FLAG = {"classic": "unknown flag: --build-context"}
# The docker CLI puts a Dockerfile into the tar of a context by itself, and reads a packed one as if it was none.
PACKED = {"classic": "EOF"}
BOTH = "can't use stdin for both build context and dockerfile"


@dataclass(frozen=True)
class Places:
    """Where contexts are; each has a file `a.txt` that says which it is."""

    directory: Path
    git: str
    web: str


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    root = tmp_path_factory.mktemp("places")
    for name, text in {**SENT, "a.txt": "here", "elsewhere/Dockerfile": OTHER}.items():
        (root / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "d" / name).write_text(text)
    served = {
        "/c.tar": files({**SENT, "a.txt": "web"}),
        "/c.tar.gz": gzip.compress(files({**SENT, "a.txt": "web"})),
        "/Dockerfile": b"FROM busybox\nRUN echo alone > /said\n",
        "/Other": OTHER.encode(),
    }

    def answer(exchange: Exchange) -> None:
        if exchange.path in served:
            exchange.send(200, {"Content-Type": "application/octet-stream"}, served[exchange.path])
        else:
            exchange.send(404)

    with Server() as repositories, WebServer(answer) as web:
        repositories.repositories["app"] = app = Repository(root / "app")
        app.commit({**SENT, "a.txt": "git", "sub/Dockerfile": OWN, "sub/a.txt": "git sub"}, tag="v1")
        yield Places(root / "d", repositories.address("app"), web.url)


@dataclass(frozen=True)
class Case:
    """Words of a command line with `{directory}`, `{git}` and `{web}` in them; what /said says then; what a face says that cannot."""

    words: str
    said: str
    stdin: bytes = b""
    cannot: dict[str, str] = field(default_factory=dict)


CASES = {
    "a Dockerfile elsewhere in the context": Case("-f {directory}/in/Other {directory}", "other here"),
    "a Dockerfile outside the context": Case("-f {directory}/elsewhere/Dockerfile {directory}/in/..", "other here"),
    "a Dockerfile at an address": Case(
        "-f {web}/Other {directory}",
        "other here",
        cannot={"classic": "unable to prepare context"},
    ),
    "-f - with a directory": Case("-f - {directory}", "given here", GIVEN),
    "-f - with a repository": Case("-f - {git}#v1", "given git", GIVEN),
    "-f - with a directory of a repository": Case("-f - {git}#v1:sub", "given git sub", GIVEN),
    "-f - with a tar at an address": Case("-f - {web}/c.tar", "given web", GIVEN),
    "-f - with a packed tar at an address": Case("-f - {web}/c.tar.gz", "given web", GIVEN, PACKED),
    "-f - with -": Case("-f - -", "", GIVEN, dict.fromkeys(("classic", "buildx", "ours"), BOTH)),
    "a Dockerfile alone on standard input": Case("-", "alone", b"FROM busybox\nRUN echo alone > /said\n"),
    "a tar on standard input": Case("-", "sent", files(SENT)),
    "a packed tar on standard input": Case("-", "sent", gzip.compress(files(SENT))),
    "a tar on standard input with a Dockerfile in it": Case("-f in/Other -", "other sent", files(SENT)),
    "a tar on standard input with an ignore file": Case("-", "a.txt", files(IGNORING)),
    "a tar at an address": Case("{web}/c.tar", "web"),
    "a packed tar at an address with a Dockerfile in it": Case("-f in/Other {web}/c.tar.gz", "other web"),
    "a Dockerfile alone at an address": Case("{web}/Dockerfile", "alone"),
    "a repository": Case("{git}#v1", "git"),
    "a directory of a repository": Case("{git}#v1:sub", "git sub"),
    "a repository with a Dockerfile in it": Case("-f in/Other {git}#main", "other git"),
    "a directory by name": Case("-f - --build-context extra={directory} {directory}/in", "here", NAMED, NO_FLAG),
    "a repository by name": Case("-f - --build-context extra={git}#v1:sub {directory}", "git sub", NAMED, NO_FLAG),
    "a tar at an address by name": Case("-f - --build-context extra={web}/c.tar {directory}", "web", NAMED, NO_FLAG),
    "a directory by name, a tar on standard input": Case(
        "--build-context extra={directory} -", "here", files({"Dockerfile": NAMED.decode()}), NO_FLAG
    ),
    "a directory by name, a repository": Case("-f - --build-context extra={directory} {git}", "here", NAMED, NO_FLAG),
    "a directory by name, a tar at an address": Case(
        "-f - --build-context extra={directory} {web}/c.tar", "here", NAMED, NO_FLAG
    ),
    "an image by name": Case(
        "-f - --build-context extra=docker-image://busybox {directory}",
        "localhost",
        b"FROM busybox\nCOPY --from=extra /etc/os-release /r\nRUN grep -q BusyBox /r && echo localhost > /said\n",
        NO_FLAG,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_read_from(case: Case, by: Face, places: Places, table: Table) -> None:
    words = [word.format(**vars(places)) for word in case.words.split()]
    if by.name in case.cannot:
        assert case.cannot[by.name] in by.refusal(*words, stdin=case.stdin)
        return
    made = by.build(*words, stdin=case.stdin)
    table.is_first(f"{case.words} {hash(case.stdin)}", made)
    assert table.run(made, "cat", "/said").strip() == case.said


@pytest.mark.parametrize(
    ("remote", "said"), [("{git}#v1:sub", "git sub"), ("{web}/c.tar.gz", "web"), ("{web}/Dockerfile", "alone")]
)
def test_the_engine_fetches_what_the_classic_call_names(remote: str, said: str, places: Places, table: Table) -> None:
    image, _ = table.client.images.build(path=remote.format(**vars(places)))
    assert (
        table.client.containers.run(image.id, ["cat", "/said"], remove=True, network_mode="none").decode().strip()
        == said
    )
