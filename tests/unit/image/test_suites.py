"""Which archive a name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockwright.errors import Invalid
from dockwright.image import suites

ONE_LINE = """\
# a comment
deb [arch=amd64 signed-by=/k.gpg] https://packages.example.com/apt cloud main
deb http://mirror.example.com/debian/ bookworm main
deb-src http://elsewhere.example.com/debian bookworm main
"""
DEB822 = """\
Types: deb
URIs: http://near.example.com/debian http://far.example.com/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://near.example.com/debian-security
Suites: bookworm-security
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    monkeypatch.setattr(suites, "_APT", tmp_path)
    return tmp_path


def test_archives_are_read_in_both_forms() -> None:
    assert list(suites.archives(ONE_LINE)) == ["https://packages.example.com/apt", "http://mirror.example.com/debian"]
    assert list(suites.archives(DEB822)) == [
        "http://near.example.com/debian",
        "http://far.example.com/debian",
        "http://near.example.com/debian-security",
    ]


def test_the_hosts_own_mirror_comes_first(apt: Path) -> None:
    (apt / "sources.list.d/debian.sources").write_text(DEB822)
    (apt / "sources.list.d/binary.list").write_bytes(b"\xff\xfe deb")
    found = suites.find("debian:trixie")
    assert (found.mirror, found.security) == (
        "http://near.example.com/debian",
        "http://near.example.com/debian-security",
    )
    assert suites.find("ubuntu:noble").mirror == "http://archive.ubuntu.com/ubuntu"


def test_without_sources_the_distributions_servers_are_asked(apt: Path) -> None:
    key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert suites.find("debian:12").sources == [
        f"deb {key} http://deb.debian.org/debian bookworm main",
        f"deb {key} http://deb.debian.org/debian bookworm-updates main",
        f"deb {key} http://deb.debian.org/debian-security bookworm-security main",
    ]
    assert suites.find("debian:sid").sources == [f"deb {key} http://deb.debian.org/debian sid main"]


def test_a_mirror_that_is_named_has_the_security_updates_beside_it(apt: Path) -> None:
    found = suites.find("debian:bookworm", "https://mine.example.com/x/debian/")
    assert found.security == "https://mine.example.com/x/debian-security"
    assert (
        suites.find("debian:bookworm", "https://mine.example.com/x").security == "http://deb.debian.org/debian-security"
    )
    assert len(suites.find("debian:bookworm", "file:///srv/debian").sources) == 1
    assert suites.official(found).mirror == "http://deb.debian.org/debian"


def test_an_archive_of_the_past_is_read_from_the_snapshots() -> None:
    found = suites.find("debian:bookworm", archive_date="20250520T000000Z")
    assert found.mirror == "http://snapshot.debian.org/archive/debian/20250520T000000Z"
    assert found.security == "http://snapshot.debian.org/archive/debian-security/20250520T000000Z"
    assert suites.find("ubuntu:noble", archive_date="20250520T000000Z").mirror.endswith("ubuntu/20250520T000000Z")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("alpine:3",), "'alpine' is no distribution"),
        (("debian",), "names no suite: say, for example, debian:trixie"),
        (("debian:latest",), "names no suite"),
        (("debian:../../etc",), "names no suite"),
        (("debian:-o",), "names no suite"),
        (("debian:bookworm", "ftp://x/debian"), "is no mirror"),
        (("debian:bookworm", "http://x/debian [trusted=yes]"), "is no mirror"),
        (("debian:bookworm", "", "yesterday"), "is no archive date"),
        (("debian:bookworm", "http://x/debian", "20250520T000000Z"), "conflicting options"),
    ],
)
def test_what_names_no_archive_is_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        suites.find(*arguments)


def test_names_of_packages_are_checked() -> None:
    assert suites.checked_packages(["g++", "libc6-dev"]) == ("g++", "libc6-dev")
    for bad in ("", "-o", "a b", "x;y", "?all", "/etc/passwd"):
        with pytest.raises(Invalid, match="no name of a package"):
            suites.checked_packages([bad])
