"""Every instruction of the Dockerfile reference: what is read out of it, and what is refused where."""

from __future__ import annotations

from typing import Any

import pytest

from dockwright.build.dockerfile import DockerfileError, parse
from dockwright.build.dockerfile.instructions.base import Command, Instruction
from dockwright.build.dockerfile.instructions.run import Device
from dockwright.errors import Invalid

MINUTE_NS = 60_000_000_000


def one(text: str) -> Instruction:
    (stage,) = parse(f"FROM scratch\n{text}").stages
    (instruction,) = stage.instructions
    return instruction


def shell(text: str) -> Command:
    return Command((text,), shell=True)


def program(*arguments: str) -> Command:
    return Command(arguments, shell=False)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("RUN a b", {"command": shell("a b")}),
        ("run a", {"command": shell("a")}),
        ("RuN a", {"command": shell("a")}),
        ("RUN\ta", {"command": shell("a")}),
        ('RUN ["a", "b c"]', {"command": program("a", "b c")}),
        ('RUN [ "a" , "b" ]', {"command": program("a", "b")}),
        ("RUN ['a', 'b']", {"command": shell("['a', 'b']")}),
        ('RUN ["a", "b"', {"command": shell('["a", "b"')}),
        ('RUN ["a"] && b', {"command": shell('["a"] && b')}),
        ("RUN [ -f x ]", {"command": shell("[ -f x ]")}),
        ("RUN []", {"error": "RUN requires at least one argument"}),
        ('RUN ["\\u0041"]', {"command": program("A")}),
        ("RUN a --network=none", {"command": shell("a --network=none"), "network": "default"}),
        ("RUN --network=none a", {"command": shell("a"), "network": "none"}),
        ("RUN --network=host --security=insecure a", {"network": "host", "security": "insecure"}),
        ("RUN -- --a", {"command": shell("--a")}),
        ("RUN --mount=type=tmpfs,target=/t a", {"mounts": ("type=tmpfs,target=/t",)}),
        ("RUN --mount=target=/a --mount=target=/b,rw a", {"mounts": ("target=/a", "target=/b,rw")}),
        ("RUN --mount=type=cache,target=$X a", {"mounts": ("type=cache,target=$X",)}),
        ("RUN --network=bad a", {"error": "invalid network mode: bad"}),
        ("RUN --security=x a", {"error": "invalid security mode: x"}),
        ("RUN --network a", {"error": "missing a value on flag: --network"}),
        ("RUN --netwrok=none a", {"error": "unknown flag: --netwrok (did you mean --network?)"}),
        ("RUN --network=none --network=host a", {"error": "duplicate flag specified: --network"}),
        ("RUN --mount=type=bnd,target=/a a", {"error": 'unsupported mount type "bnd", did you mean bind?'}),
        ("RUN", {"error": "RUN requires at least one argument"}),
        ("RUN --network=none", {"error": "RUN requires at least one argument"}),
        ('RUN ["a", 1]', {"error": "arrays must be comprised of strings only"}),
        ("CMD a b", {"command": shell("a b")}),
        ('CMD ["a", "b"]', {"command": program("a", "b")}),
        ("CMD []", {"command": program()}),
        ("CMD", {"command": Command((), shell=True)}),
        ("CMD --flag a", {"error": "unknown flag: --flag"}),
        ("ENTRYPOINT a", {"command": shell("a")}),
        ('ENTRYPOINT ["/bin/a"]', {"command": program("/bin/a")}),
        ("ENTRYPOINT []", {"command": program()}),
        ('SHELL ["/bin/bash", "-c"]', {"arguments": ("/bin/bash", "-c")}),
        ("SHELL /bin/bash", {"error": "SHELL requires the arguments to be in JSON form"}),
        ("SHELL []", {"error": "SHELL requires at least one argument"}),
        ("SHELL", {"error": "SHELL requires at least one argument"}),
        ("COPY a /b", {"paths": ("a",), "destination": "/b", "from_": ""}),
        ("COPY a b c/", {"paths": ("a", "b"), "destination": "c/"}),
        ('COPY ["a b", "/c d"]', {"paths": ("a b",), "destination": "/c d"}),
        ("COPY --from=build /a /b", {"from_": "build"}),
        ("COPY --from=0 --chown=1:2 --chmod=755 /a /b", {"from_": "0", "chown": "1:2", "chmod": "755"}),
        ("COPY --chmod=u=rwX,go=rX a b", {"chmod": "u=rwX,go=rX"}),
        ("COPY --link a b", {"link": True}),
        ("COPY --link=false a b", {"link": False}),
        ("COPY --parents x/./a b", {"parents": True}),
        ("COPY --exclude=*.md --exclude=x a b", {"exclude": ("*.md", "x")}),
        ("COPY --link=maybe a b", {"error": "expecting boolean value for flag --link, not: maybe"}),
        ("COPY a", {"error": "Destination could not be determined"}),
        ("COPY", {"error": "COPY requires at least two arguments"}),
        ("COPY --from a b c", {"error": "missing a value on flag: --from"}),
        ("COPY --checksum=x a b", {"error": "unknown flag: --checksum"}),
        ("ADD a /b", {"paths": ("a",), "destination": "/b", "unpack": None, "keep_git_dir": None}),
        ("ADD --keep-git-dir=false a /b", {"keep_git_dir": False}),
        ("ADD https://x.test/a.tgz /b", {"paths": ("https://x.test/a.tgz",)}),
        ("ADD --checksum=sha256:ab https://x.test/a /b", {"checksum": "sha256:ab"}),
        ("ADD --keep-git-dir=true https://x.test/a.git /b", {"keep_git_dir": True}),
        ("ADD --unpack https://x.test/a.tgz /b", {"unpack": True}),
        ("ADD --unpack=false a.tgz /b", {"unpack": False}),
        ("ADD --link= a b", {"error": "missing a value on flag: --link"}),
        ("RUN --device=v.com/c=x y", {"devices": (Device("v.com/c=x", required=False),)}),
        ("RUN --device=name=v.com/c=x,required y", {"devices": (Device("v.com/c=x", required=True),)}),
        ("RUN --device=x,required=maybe y", {"error": "invalid value for required: maybe"}),
        ("RUN --device=x,y z", {"error": "device name already set to x"}),
        ("ADD --from=x a b", {"error": "unknown flag: --from"}),
        ("ADD --parents a b", {"error": "unknown flag: --parents"}),
        ("ENV a=b", {"pairs": (("a", "b"),), "old_form": False}),
        ("ENV a=b c=d", {"pairs": (("a", "b"), ("c", "d"))}),
        ("ENV a= b=", {"pairs": (("a", ""), ("b", ""))}),
        ("ENV a=b=c", {"pairs": (("a", "b=c"),)}),
        ('ENV a="b c" d=e', {"pairs": (("a", '"b c"'), ("d", "e"))}),
        ("ENV a='b c'", {"pairs": (("a", "'b c'"),)}),
        ("ENV a=b\\ c d=e", {"pairs": (("a", "b\\ c"), ("d", "e"))}),
        ("ENV a b", {"pairs": (("a", "b"),), "old_form": True}),
        ("ENV a b c=d", {"pairs": (("a", "b c=d"),), "old_form": True}),
        ("ENV a   b  c", {"pairs": (("a", "b  c"),), "old_form": True}),
        ("ENV a", {"error": "ENV must have two arguments"}),
        ("ENV", {"error": "ENV requires at least one argument"}),
        ("ENV a=b c", {"error": "can't find = in 'c'"}),
        ("ENV =b", {"error": "ENV names can not be blank"}),
        ("LABEL a=b", {"pairs": (("a", "b"),)}),
        ('LABEL "com.x.y"="b c" d=e', {"pairs": (('"com.x.y"', '"b c"'), ("d", "e"))}),
        ("LABEL a b c", {"pairs": (("a", "b c"),), "old_form": True}),
        ("LABEL", {"error": "LABEL requires at least one argument"}),
        ("ARG a", {"pairs": (("a", None),)}),
        ("ARG a=b", {"pairs": (("a", "b"),)}),
        ("ARG a= b", {"pairs": (("a", ""), ("b", None))}),
        ('ARG a="b c" d', {"pairs": (("a", '"b c"'), ("d", None))}),
        ("ARG", {"error": "ARG requires at least one argument"}),
        ("ARG =b", {"error": "ARG names can not be blank"}),
        ("WORKDIR /a b", {"path": "/a b"}),
        ("WORKDIR a", {"path": "a"}),
        ("WORKDIR", {"error": "WORKDIR requires exactly one argument"}),
        ("USER a:b", {"user": "a:b"}),
        ("USER", {"error": "USER requires exactly one argument"}),
        ("STOPSIGNAL SIGKILL", {"signal": "SIGKILL"}),
        ("STOPSIGNAL", {"error": "STOPSIGNAL requires exactly one argument"}),
        ("MAINTAINER A B <a@b.test>", {"name": "A B <a@b.test>"}),
        ("EXPOSE 80", {"ports": ("80",)}),
        ("EXPOSE 80/tcp 90-95/udp $P", {"ports": ("80/tcp", "90-95/udp", "$P")}),
        ("EXPOSE", {"error": "EXPOSE requires at least one argument"}),
        ("VOLUME /a", {"paths": ("/a",)}),
        ("VOLUME /a /b", {"paths": ("/a", "/b")}),
        ('VOLUME ["/a", "/b c"]', {"paths": ("/a", "/b c")}),
        ('VOLUME [""]', {"error": "VOLUME specified can not be an empty string"}),
        ("VOLUME", {"error": "VOLUME requires at least one argument"}),
        ("HEALTHCHECK NONE", {"test": ("NONE",)}),
        ("HEALTHCHECK none", {"test": ("NONE",)}),
        ("HEALTHCHECK CMD a b", {"test": ("CMD-SHELL", "a b")}),
        ("HEALTHCHECK cmd a b", {"test": ("CMD-SHELL", "a b")}),
        ('HEALTHCHECK CMD ["a", "b"]', {"test": ("CMD", "a", "b")}),
        ("HEALTHCHECK --interval=1m --retries=3 CMD a", {"interval_ns": MINUTE_NS, "retries": 3}),
        (
            "HEALTHCHECK --timeout=1m --start-period=2m CMD a",
            {"timeout_ns": MINUTE_NS, "start_period_ns": 2 * MINUTE_NS},
        ),
        ("HEALTHCHECK --start-interval=1ms CMD a", {"start_interval_ns": 1_000_000}),
        ("HEALTHCHECK --interval=0s CMD a", {"interval_ns": 0}),
        ("HEALTHCHECK --interval=1us CMD a", {"error": "--interval cannot be less than 1ms"}),
        ("HEALTHCHECK --interval=-1s CMD a", {"error": "--interval cannot be less than 1ms"}),
        ("HEALTHCHECK --interval=x CMD a", {"error": "invalid duration 'x' for --interval"}),
        ("HEALTHCHECK --retries=-1 CMD a", {"error": "--retries must be a whole number"}),
        ("HEALTHCHECK --retries=x CMD a", {"error": "--retries must be a whole number"}),
        ("HEALTHCHECK NONE a", {"error": "HEALTHCHECK NONE takes no arguments"}),
        ("HEALTHCHECK CMD", {"error": "missing command after HEALTHCHECK CMD"}),
        ("HEALTHCHECK TCP 80", {"error": "unknown type 'TCP' in HEALTHCHECK"}),
        ("HEALTHCHECK", {"error": "HEALTHCHECK requires at least one argument"}),
        ("ONBUILD RUN a", {"expression": "RUN a", "trigger": "RUN"}),
        ("ONBUILD run --network=none a", {"expression": "run --network=none a", "trigger": "RUN"}),
        ("ONBUILD COPY a b", {"trigger": "COPY"}),
        ("ONBUILD ONBUILD RUN a", {"error": "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"}),
        ("ONBUILD FROM a", {"error": "FROM isn't allowed as an ONBUILD trigger"}),
        ("ONBUILD MAINTAINER a", {"error": "MAINTAINER isn't allowed as an ONBUILD trigger"}),
        ("ONBUILD", {"error": "ONBUILD requires at least one argument"}),
        ("RUNN a", {"error": "unknown instruction: RUNN (did you mean RUN?)"}),
        ("foo bar", {"error": "unknown instruction: foo"}),
        ("{", {"error": "unknown instruction: {"}),
    ],
)
def test_instructions(text: str, fields: dict[str, Any]) -> None:
    if "error" in fields:
        with pytest.raises(DockerfileError) as raised:
            one(text)
        assert fields["error"] in str(raised.value)
        assert raised.value.span.line == 2
    else:
        found = one(text)
        assert {name: getattr(found, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("text", "image", "platform", "name"),
    [
        ("FROM a", "a", "", ""),
        ("from a", "a", "", ""),
        ("FROM a AS b", "a", "", "b"),
        ("FROM a as B", "a", "", "b"),
        ("FROM a As b-1.x_y", "a", "", "b-1.x_y"),
        ("FROM --platform=$BUILDPLATFORM a AS b", "a", "$BUILDPLATFORM", "b"),
        ("FROM a@sha256:" + "0" * 64, "a@sha256:" + "0" * 64, "", ""),
        ("FROM ${A:-x}:1", "${A:-x}:1", "", ""),
        ("FROM scratch", "scratch", "", ""),
    ],
)
def test_from(text: str, image: str, platform: str, name: str) -> None:
    base = parse(text).stages[0].base
    assert (base.image, base.platform, base.name) == (image, platform, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a IS b", "FROM requires either one or three arguments"),
        ("FROM a AS b c", "FROM requires either one or three arguments"),
        ("FROM a AS 1b", "name can't start with a number or contain symbols"),
        ("FROM a AS b/c", "name can't start with a number or contain symbols"),
        ("FROM a AS $b", "name can't start with a number or contain symbols"),
        ("FROM --platfrom=x a", "did you mean --platform?"),
        ("FROM --platform= --from=x a", "unknown flag: --from"),
        ("RUN a", "no build stage in current context: RUN stands before the first FROM"),
        ("ARG a", "dockerfile contains no stages to build"),
        ("", "file with no instructions"),
        ("# only a comment\n\n", "file with no instructions"),
        (b"FROM a\nRUN \xff\xfe", "2:5: the file is not UTF-8 text"),
    ],
)
def test_files_that_are_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        parse(text)
    assert message in str(raised.value)
    assert isinstance(raised.value, Invalid)


def test_stages_are_found_by_name_and_by_number() -> None:
    found = parse("ARG V=1\nFROM a AS Base\nRUN x\nFROM base AS second\nFROM b")
    assert [argument.pairs for argument in found.arguments] == [(("V", "1"),)]
    assert [stage.name for stage in found.stages] == ["base", "second", "2"]
    assert found.stage("BASE") is found.stages[0]
    assert found.stage("1") is found.stages[1]
    assert found.stage("1", before=1) is None
    assert found.stage("3") is None
    assert found.stage("9" * 50) is None
    assert found.stage("nothing") is None


def test_files_written_in_the_dockerfile_are_copied() -> None:
    found = one("COPY <<a.txt <<-'b.txt' plain /dst/\n$x\na.txt\n\t$y\n\tb.txt")
    assert found.paths == ("plain",)  # type: ignore[attr-defined]
    assert [(each.name, each.content, each.expand) for each in found.inline] == [  # type: ignore[attr-defined]
        ("a.txt", "$x\n", True),
        ("b.txt", "$y\n", False),
    ]


def test_a_here_document_is_no_destination() -> None:
    with pytest.raises(DockerfileError, match="cannot accept a heredoc as a destination"):
        one("COPY a <<b\nx\nb")


def test_a_trigger_keeps_its_here_document() -> None:
    assert one("ONBUILD RUN <<EOF\na\nEOF").expression == "RUN <<EOF\na\nEOF"  # type: ignore[attr-defined]


def test_variables_are_replaced_where_the_reference_says_so() -> None:
    def upper(text: str) -> str:
        return text.upper()

    assert one("COPY --from=a --chown=b c d").expanded(upper) == one("COPY --from=a --chown=B C D")
    assert one("RUN --mount=target=/a b").expanded(upper) == one("RUN --mount=TARGET=/A b")
    assert one("ENV a=b").expanded(upper) == one("ENV A=B")
    assert one("ARG a=b c").expanded(upper) == one("ARG a=B c")
    assert one("CMD a").expanded(upper) == one("CMD a")
    assert one("ONBUILD RUN a").expanded(upper) == one("ONBUILD RUN a")
    assert one("WORKDIR a").expanded(upper) == one("WORKDIR A")
