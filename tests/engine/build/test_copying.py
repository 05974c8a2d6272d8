"""COPY and ADD: where files end up, whose they are, and what is refused."""

from __future__ import annotations

import io
import os
import tarfile

import pytest
from tests.engine.build.conftest import Bench

from dockwright.errors import DockwrightError

pytestmark = pytest.mark.root

FILES = {"a.txt": "A", "b.txt": "B", "d/x.md": "X", "d/e/y.txt": "Y", "d/e/z.md": "Z", "with space": "S", "[odd]*": "O"}
SHOW = ["sh", "-c", 'cd /t && find . -mindepth 1 -type f | sort | while read -r f; do echo "$f $(cat "$f")"; done']


PLACES: list[tuple[str, dict[str, str]]] = [
    ("COPY a.txt /t/", {"a.txt": "A"}),
    ("COPY a.txt /t/new", {"new": "A"}),
    ("COPY /a.txt /t/", {"a.txt": "A"}),
    ("COPY ./a.txt /t/", {"a.txt": "A"}),
    ("COPY d/../a.txt /t/", {"a.txt": "A"}),
    ("COPY ../../a.txt /t/", {"a.txt": "A"}),
    ("COPY a.txt b.txt /t/", {"a.txt": "A", "b.txt": "B"}),
    ("COPY *.txt /t/", {"a.txt": "A", "b.txt": "B"}),
    ("COPY ?.txt /t/", {"a.txt": "A", "b.txt": "B"}),
    ("COPY [a].txt /t/", {"a.txt": "A"}),
    ("COPY d /t", {"x.md": "X", "e/y.txt": "Y", "e/z.md": "Z"}),
    ("COPY d /t/", {"x.md": "X", "e/y.txt": "Y", "e/z.md": "Z"}),
    ("COPY d/ /t", {"x.md": "X", "e/y.txt": "Y", "e/z.md": "Z"}),
    ("COPY d /t/d", {"d/x.md": "X", "d/e/y.txt": "Y", "d/e/z.md": "Z"}),
    ("COPY d/* /t/", {"x.md": "X", "y.txt": "Y", "z.md": "Z"}),
    ("COPY */*.md /t/", {"x.md": "X"}),
    ("COPY a.txt *.nothing /t/", {"a.txt": "A"}),
    ("COPY *.nothing a.txt /t/new", {"new": "A"}),
    ("WORKDIR /t\nCOPY *.nothing ./", {}),
    ("RUN mkdir /t\nCOPY a.txt b.txt /t", {"a.txt": "A", "b.txt": "B"}),
    ("COPY d/e d /t", {"x.md": "X", "y.txt": "Y", "z.md": "Z", "e/y.txt": "Y", "e/z.md": "Z"}),
    ("COPY d/e a.txt /t", {"a.txt": "A", "y.txt": "Y", "z.md": "Z"}),
    ("COPY a.txt <<b /t/\nB\nb", {"a.txt": "A", "b": "B"}),
    ("RUN mkdir /t\nCOPY *.txt <<c /t\nC\nc", {"a.txt": "A", "b.txt": "B", "c": "C"}),
    ("COPY --exclude=*.md d /t", {"e/y.txt": "Y", "e/z.md": "Z"}),
    ("COPY --exclude=**/*.md d /t", {"e/y.txt": "Y"}),
    ("COPY --exclude=d/e . /t/", {"a.txt": "A", "b.txt": "B", "d/x.md": "X", "with space": "S", "[odd]*": "O"}),
    ("COPY --exclude=a.* *.txt /t/", {"b.txt": "B"}),
    ("COPY --parents d/e/y.txt /t/", {"d/e/y.txt": "Y"}),
    ("COPY --parents d/./e/y.txt /t/", {"e/y.txt": "Y"}),
    ("COPY --parents ./d/e/y.txt /t/", {"d/e/y.txt": "Y"}),
    ("COPY --parents d/./e/./y.txt /t/", {"e/y.txt": "Y"}),
    ("COPY --parents d/e/. /t/", {"d/e/y.txt": "Y", "d/e/z.md": "Z"}),
    ("COPY --parents **/*.md /t/", {"d/x.md": "X", "d/e/z.md": "Z"}),
    ("COPY --parents d/**/y.txt /t/", {"d/e/y.txt": "Y"}),
    ("COPY --parents */./e/*.txt /t/", {"e/y.txt": "Y"}),
    ("COPY --parents d*/./**/z* d/./x.md /t/", {"e/z.md": "Z", "x.md": "X"}),
    ("COPY --parents nothing*/x /t/", {}),
    ("COPY --parents d/e /t/", {"d/e/y.txt": "Y", "d/e/z.md": "Z"}),
    ('COPY ["with space", "/t/"]', {"with space": "S"}),
    ("COPY with\\ space /t/", {"with space": "S"}),
    ("COPY [[]odd]* /t/", {"[odd]*": "O"}),
    ("WORKDIR /t\nCOPY a.txt .", {"a.txt": "A"}),
    ("WORKDIR /t\nCOPY a.txt ./", {"a.txt": "A"}),
    ("WORKDIR /t\nCOPY a.txt sub/", {"sub/a.txt": "A"}),
    ("WORKDIR /t\nCOPY a.txt new", {"new": "A"}),
    ("RUN mkdir /t\nCOPY a.txt /t", {"a.txt": "A"}),
    ("RUN mkdir /real && ln -s real /t\nCOPY a.txt /t/", {"a.txt": "A"}),
    ("RUN mkdir /real && ln -s /real /t\nCOPY d /t", {"x.md": "X", "e/y.txt": "Y", "e/z.md": "Z"}),
    ("RUN ln -s /real /t\nCOPY a.txt /t/", {"a.txt": "A"}),
    ("RUN ln -s /deep/real /t\nWORKDIR /t/d\nCOPY a.txt .", {"d/a.txt": "A"}),
    ("RUN mkdir /t && ln -s /t/real /link\nCOPY a.txt /link", {"real": "A"}),
    ("RUN mkdir /t && echo old > /t/real && ln -s t/real /link\nCOPY a.txt /link", {"real": "A"}),
    ("RUN mkdir -p /t/own && ln -s /t/own /t/d\nCOPY --parents d/e/y.txt /t/", {"own/e/y.txt": "Y"}),
    ("RUN mkdir -p /t && echo old > /t/a.txt && echo kept > /t/k\nCOPY a.txt /t/", {"a.txt": "A", "k": "kept"}),
    ("ARG N=a\nCOPY $N.txt /t/${N}2", {"a2": "A"}),
    ("COPY --link a.txt /t/", {"a.txt": "A"}),
    ("RUN mkdir /real && ln -s real /t\nCOPY --link a.txt /t/", {"a.txt": "A"}),
    ("RUN mkdir /t && echo k > /t/k\nCOPY --link a.txt b.txt /t/", {"a.txt": "A", "b.txt": "B", "k": "k"}),
    ("WORKDIR /t\nCOPY --link a.txt new\nRUN cat new > ran", {"new": "A", "ran": "A"}),
    ("COPY --link <<EOF /t/in\nline\nEOF", {"in": "line"}),
    ("FROM busybox AS s\nRUN mkdir /o && echo 1 > /o/f\nFROM busybox\nCOPY --link --from=s /o /t", {"f": "1"}),
    ("COPY a.txt nomatch* /t/", {"a.txt": "A"}),
    ("RUN mkdir /t\nCOPY nomatch* /t/", {}),
    ('WORKDIR /t\nENV E=""\nCOPY a.txt $E', {"a.txt": "A"}),
    ("FROM busybox AS s\nRUN mkdir /o && echo 1 > /o/f\nFROM busybox\nCOPY --from=s /o /t", {"f": "1"}),
    ("FROM busybox AS s\nRUN echo 1 > /f\nFROM busybox\nCOPY --from=0 /f /t/", {"f": "1"}),
    ("COPY <<EOF /t/in\nline $PATHX\nEOF", {"in": "line"}),
    ("COPY <<one <<two /t/\n1\none\n2\ntwo", {"one": "1", "two": "2"}),
    ("ARG W=world\nCOPY <<EOF /t/in\nhi '$W' \\$W\nEOF", {"in": "hi 'world' $W"}),
    ("ARG W=world\nCOPY <<'EOF' /t/in\nhi $W\nEOF", {"in": "hi $W"}),
    ("ADD a.txt /t/", {"a.txt": "A"}),
]

REFUSED = [
    ("COPY nothing /t/", "nothing: file not found"),
    ("COPY --parents d/nothing /t/", "d/nothing: file not found"),
    ("COPY nothing *.txt /t/", "nothing: file not found"),
    ("COPY secret /t/", "left out by the ignore file"),
    ("COPY a.txt b.txt /t", "must be a directory and end with a /"),
    ("COPY *.txt /t", "must be a directory and end with a /"),
    ("COPY a.txt <<b /t\nB\nb", "must be a directory and end with a /"),
    ("COPY --from=nothing a /t/", "nothing"),
    ("COPY --from=7 a /t/", "invalid stage index 7"),
    ("ARG S=x\nCOPY --from=$S a /t/", "variable expansion is not supported for --from"),
    ("COPY --link --chown=nobody-here a.txt /t/", "unable to find user nobody-here"),
    ("COPY --chmod=10000 a.txt /t/", "it should be octal string and between 0 and 07777"),
    ("COPY --chmod=u+y a.txt /t/", "invalid chmod parameter: 'u+y'"),
    ("RUN true\nCOPY li* /t/", "link: file not found"),
    ("COPY --chown=nobody-here a.txt /t/", "unable to find user nobody-here"),
    ("COPY --chmod=999 a.txt /t/", "invalid chmod parameter"),
    ("COPY d /etc/passwd", "cannot overwrite non-directory"),
    ("RUN mkdir -p /t/a.txt\nCOPY a.txt /t/", "cannot overwrite directory"),
    ("COPY [a /t/", "no ] for its ["),
    ("COPY https://example.test/x /t/", "source can't be a URL or a git ref for COPY"),
    ("ADD --checksum=sha256:00 a.txt /t/", "checksum requires HTTP(S) or Git sources"),
    (
        "COPY --from=later /x /t/\nFROM busybox AS later",
        'cannot copy from stage "later", it needs to be defined before current stage',
    ),
]

LOOKS = [
    ("", "0:0 644"),
    ("--chown=5", "5:5 644"),
    ("--chown=5:6", "5:6 644"),
    ("--chown=root:root", "0:0 644"),
    ("--chown=somebody", "66:55 644"),
    ("--chown=somebody:5", "66:5 644"),
    ("--chown=66", "66:66 644"),
    ("--chmod=755", "0:0 755"),
    ("--chmod=4711", "0:0 4711"),
    ("--chmod=u=rwx,go=rX", "0:0 755"),
    ("--chmod=g+w,o-r", "0:0 660"),
    ("--chmod=a=r", "0:0 444"),
    ("--chmod=+x --chown=7", "7:7 755"),
    ("--chmod=00755", "0:0 755"),
    ("--chmod=u=rwx,g=u,o=g-w", "0:0 775"),
    ("--chmod=u+x-w,go=", "0:0 500"),
    ("--link --chown=5:6 --chmod=700", "5:6 700"),
    ("--link --chown=root", "0:0 644"),
]


async def test_where_files_end_up(bench: Bench) -> None:
    wrong = []
    for instruction, found in PLACES:
        text = instruction if instruction.startswith("FROM") else f"FROM busybox\n{instruction}"
        outcome = await bench.build(text, dict(FILES))
        said = await bench.output(outcome.image_id, *SHOW)
        expected = sorted(f"./{name} {text}" for name, text in found.items())
        if sorted(line.strip() for line in said.splitlines()) != expected:
            wrong.append((instruction, said))
    assert not wrong


async def test_what_is_refused(bench: Bench) -> None:
    (bench.root / "link").symlink_to("/etc/nowhere")
    for instruction, message in REFUSED:
        with pytest.raises(DockwrightError) as raised:
            target = {"target": "0"} if "AS later" in instruction else {}
            await bench.build(
                f"FROM busybox\n{instruction}", {**FILES, "secret": "s", ".dockerignore": "secret\n"}, **target
            )
        assert message in str(raised.value)
        assert not os.listdir(bench.engine.settings.exec_root / "builds")


async def test_owners_and_modes(bench: Bench) -> None:
    bench.write({"a.txt": "A"})
    (bench.root / "a.txt").chmod(0o644)
    os.chown(bench.root / "a.txt", 1000, 1000)
    steps = "".join(f"COPY {flags} a.txt /t/{number}\n" for number, (flags, _) in enumerate(LOOKS))
    user = "RUN echo 'somebody:x:66:55::/:/bin/sh' >> /etc/passwd\n"
    outcome = await bench.build(f"FROM busybox\n{user}{steps}")
    said = await bench.output(
        outcome.image_id, "sh", "-c", "cd /t; for i in $(ls | sort -n); do stat -c '%u:%g %a' $i; done"
    )
    assert said.splitlines() == [looks for _, looks in LOOKS]


async def test_owners_are_kept_from_stage_to_stage_and_the_destination_stays_as_it_is(bench: Bench) -> None:
    outcome = await bench.build(
        "FROM busybox AS s\nRUN mkdir -p /o/sub && echo 1 > /o/sub/f && chown -R 8:9 /o && chmod 700 /o /o/sub\n"
        "FROM busybox\nRUN mkdir -p /t/sub && chmod 711 /t /t/sub\nCOPY --from=s /o /t\n"
    )
    said = await bench.output(outcome.image_id, "stat", "-c", "%n %u:%g %a", "/t", "/t/sub", "/t/sub/f")
    assert said.splitlines() == ["/t 0:0 711", "/t/sub 8:9 700", "/t/sub/f 8:9 644"]


async def test_links_are_copied_as_links_inside_a_directory_and_followed_when_they_are_named(bench: Bench) -> None:
    bench.write({"d/f": "F"})
    (bench.root / "d/l").symlink_to("f")
    (bench.root / "top").symlink_to("d/f")
    (bench.root / "out").symlink_to("/etc/hostname")
    outcome = await bench.build("FROM busybox\nCOPY d /t\nCOPY top /t/\n")
    said = await bench.output(
        outcome.image_id, "sh", "-c", "readlink /t/l; cat /t/top; test -L /t/top || echo ' plain'"
    )
    assert said == "f\nF plain\n"
    with pytest.raises(DockwrightError, match="file not found"):
        await bench.build("FROM busybox\nCOPY out /t/\n")


async def test_local_archives_are_unpacked_by_add_alone(bench: Bench) -> None:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        entry = tarfile.TarInfo("in/side")
        entry.size = 1
        entry.uid = 4
        tar.addfile(entry, io.BytesIO(b"I"))
    bench.write({"a.tgz": body.getvalue(), "fake.tgz": b"\x1f\x8bnot really"})
    outcome = await bench.build(
        "FROM busybox\nADD a.tgz /t/\nADD --unpack=false a.tgz /kept/\nCOPY a.tgz /copied/\nADD fake.tgz /t/\n"
        "ADD --chown=5:6 a.tgz /owned/\n"
    )
    said = await bench.output(
        outcome.image_id, "sh", "-c", "cat /t/in/side; ls /t /kept /copied; stat -c %u:%g /t/in/side /owned/in/side"
    )
    assert said == "I/copied:\na.tgz\n\n/kept:\na.tgz\n\n/t:\nfake.tgz\nin\n4:0\n5:6\n"


def packed(*entries: tarfile.TarInfo) -> bytes:
    """A tar of entries; a file says its name."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        for entry in entries:
            content = entry.name.encode() if entry.isreg() else b""
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return body.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode = kind, target, 0o755 if kind == tarfile.DIRTYPE else 0o640
    return found


async def test_archives_are_chowned_whole_and_follow_links_of_the_tree(bench: Bench) -> None:
    link, directory, hard = tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE
    bench.write(
        {
            "root.tar": packed(entry("run", directory), entry("var", directory), entry("var/run", link, "/run")),
            "load.tar": packed(
                entry("var/run/a", directory), entry("var/run/a/f"), entry("var/run/a/g", hard, "var/run/a/f")
            ),
            "x1.tar": packed(entry("one"), entry("link", link, "one")),
            "x2.tar": packed(entry("two/deep")),
        }
    )
    text = (
        "FROM scratch AS s\nADD root.tar /\nADD load.tar /\nFROM busybox\nCOPY --from=s / /s\n"
        "ADD --chown=100:200 --chmod=777 x*.tar /out/new/\n"
        "RUN cat /s/run/a/f /s/run/a/g; stat -c '%n %h' /s/run/a/f; ls /out/new;"
        " stat -c '%n %u:%g %a' /out /out/new /out/new/one /out/new/link /out/new/two/deep\n"
    )
    said = (await bench.build(text)).said
    assert said.splitlines() == [
        "var/run/a/fvar/run/a/f/s/run/a/f 2",
        "link",
        "one",
        "two",
        "/out 100:200 755",
        "/out/new 100:200 755",
        "/out/new/one 100:200 640",
        "/out/new/link 100:200 777",
        "/out/new/two/deep 100:200 640",
    ]


async def test_an_ignore_file_with_exceptions_is_followed_into_directories(bench: Bench) -> None:
    files = {**FILES, ".dockerignore": "*\n!d\nd/e\n!d/e/y.txt\n"}
    outcome = await bench.build("FROM busybox\nCOPY . /t/\n", dict(files))
    said = await bench.output(outcome.image_id, *SHOW)
    assert said.splitlines() == ["./d/e/y.txt Y", "./d/x.md X"]


async def test_directories_on_the_way_have_an_octal_mode_too(bench: Bench) -> None:
    text = (
        "FROM busybox\nCOPY --chmod=777 a.txt /parent/a\nCOPY --chmod=770 a.txt /parent/sub/deep/a\n"
        "COPY --chmod=go= a.txt /other/a\nRUN stat -c '%n %a' /parent /parent/sub /parent/sub/deep /other\n"
    )
    said = (await bench.build(text, dict(FILES))).said
    assert said.splitlines() == ["/parent 777", "/parent/sub 770", "/parent/sub/deep 770", "/other 755"]


async def test_what_is_linked_is_the_same_on_any_base(bench: Bench) -> None:
    await bench.build("FROM busybox\nRUN echo other > /other\nENV E=1\n", names=("other:1",))
    first = await bench.build("FROM busybox\nCOPY --link a.txt /t/\nRUN test -f /t/a.txt\n", dict(FILES))
    second = await bench.build("FROM other:1\nRUN ln -s /nowhere /t\nCOPY --link a.txt /t/\nRUN cat /t/a.txt /other\n")
    assert [cached for title, cached in second.cached.items() if "--link" in title] == [True]
    assert second.said == "Aother\n"
    images = [await bench.engine.images.resolve(one.image_id) for one in (first, second)]
    assert images[0].config.diff_ids[1] == images[1].config.diff_ids[3]
    changed = await bench.build("FROM busybox\nCOPY --link a.txt /t/\n", {"a.txt": "other"})
    assert list(changed.cached.values()) == [False]


async def test_a_directory_of_which_nothing_is_taken_back_in_is_not_there(bench: Bench) -> None:
    files = {"a/b/c.txt": "C", "a/d/e.md": "E", "f/g.txt": "G", ".dockerignore": "a\nf\n!**/*.md\n"}
    outcome = await bench.build("FROM busybox\nCOPY . /t/\nCOPY --exclude=a --exclude=!**/*.nothing . /u/\n", files)
    found = await bench.output(outcome.image_id, "sh", "-c", "cd /t && find . | sort; ls -A /u")
    assert found.split() == [".", "./.dockerignore", "./a", "./a/d", "./a/d/e.md", ".dockerignore"]


async def test_a_directory_that_exists_gets_the_looks_of_the_one_that_is_copied(bench: Bench) -> None:
    bench.write({"tree/in/f": "F"})
    (bench.root / "tree/in").chmod(0o701)
    text = (
        "FROM busybox\nRUN mkdir -m 750 /t && mkdir -m 770 /t/in && chown -R 5:6 /t && touch /t/in/kept\nCOPY tree /t\n"
    )
    outcome = await bench.build(text)
    said = await bench.output(outcome.image_id, "sh", "-c", "stat -c '%a %u:%g' /t /t/in; ls /t/in")
    assert said == "750 5:6\n701 0:0\nf\nkept\n"
