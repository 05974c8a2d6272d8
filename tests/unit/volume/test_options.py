"""The options of local volumes, parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.errors import Invalid
from dockwright.volume import check_name, split
from dockwright.volume.options import LocalOptions, MountPlan, hidden, parse

RDONLY, NOSUID, NOEXEC, BIND, REC = 1, 2, 8, 4096, 16384
SLAVE = 1 << 19


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, LocalOptions()),
        ({"type": "tmpfs", "device": "tmpfs"}, LocalOptions(MountPlan("tmpfs", "tmpfs", 0, ""))),
        (
            {"type": "tmpfs", "device": "tmpfs", "o": "size=5m,noexec,nosuid,uid=3,exec"},
            LocalOptions(MountPlan("tmpfs", "tmpfs", NOSUID, "size=5m,uid=3")),
        ),
        (
            {"type": "none", "device": "/srv", "o": "rbind,ro,rslave"},
            LocalOptions(MountPlan("none", "/srv", BIND | REC | RDONLY, "", SLAVE | REC)),
        ),
        (
            {"type": "nfs", "device": ":/export", "o": "addr=10.0.0.1,rw,nfsvers=4"},
            LocalOptions(MountPlan("nfs", ":/export", 0, "addr=10.0.0.1,nfsvers=4")),
        ),
        ({"size": "1.5g"}, LocalOptions(None, 3 << 29)),
        ({"size": "10MiB"}, LocalOptions(None, 10 << 20)),
        ({"size": "4096"}, LocalOptions(None, 4096)),
    ],
)
def test_options_are_those_of_mount(options: dict[str, str], expected: LocalOptions) -> None:
    assert parse(options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nope": "1"}, 'invalid option: "nope"'),
        ({"type": "tmpfs"}, 'missing required option: "device"'),
        ({"device": "/srv"}, 'missing required option: "type"'),
        ({"o": "bind"}, 'missing required option: "device"'),
        ({"size": "0"}, "more than nothing"),
        ({"size": "-1"}, "invalid size: '-1'"),
        ({"size": ""}, "invalid size: ''"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse(options)


@given(st.dictionaries(st.sampled_from(["type", "device", "o", "size", "x"]), st.text(max_size=20)))
def test_no_options_at_all_make_the_parser_fail_otherwise(options: dict[str, str]) -> None:
    try:
        parse(options)
    except Invalid:
        pass


def test_a_password_is_hidden() -> None:
    assert hidden("username=me,password=a=b,uid=1") == "username=me,password=********,uid=1"


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a/b", "a b", "..", "a\0", "ü", "a@b", "x" * 241, "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(Invalid):
        check_name(name)


@pytest.mark.parametrize("name", ["v", "a.b", "A-1_2", "x" * 240])
def test_names(name: str) -> None:
    assert check_name(name) == name


def test_a_reference_names_a_volume_and_perhaps_a_snapshot() -> None:
    assert split("data") == ("data", "")
    assert split("data@one") == ("data", "one")
    with pytest.raises(Invalid):
        split("data@")
