"""Which text names a repository, and what it says of it."""

from __future__ import annotations

import pytest

from dockwright.build.sources.gitref import GitRef, parse, redacted
from dockwright.errors import Invalid

COMMIT = "0123456789abcdef0123456789abcdef01234567"
URL = "https://h.test/o/r.git"

NAMED = [
    (URL, GitRef(URL)),
    (f"{URL}#main", GitRef(URL, "main")),
    (f"{URL}#main:a/b", GitRef(URL, "main", "a/b")),
    (f"{URL}#:a", GitRef(URL, "", "a")),
    (f"{URL}#main:../../etc", GitRef(URL, "main", "etc")),
    (f"{URL}#refs/pull/1/head", GitRef(URL, "refs/pull/1/head")),
    ("http://h.test:8080/r.git", GitRef("http://h.test:8080/r.git")),
    ("https://u:p@h.test/r.git", GitRef("https://u:p@h.test/r.git")),
    ("git@h.test:o/r.git", GitRef("git@h.test:o/r.git")),
    ("git@h.test:o/r#v1:d", GitRef("git@h.test:o/r", "v1", "d")),
    ("deploy@h.test:o/r.git?branch=b", GitRef("deploy@h.test:o/r.git", "refs/heads/b")),
    ("ssh://git@h.test:2222/o/r", GitRef("ssh://git@h.test:2222/o/r")),
    ("git://h.test/r", GitRef("git://h.test/r")),
    (f"{URL}?tag=v1", GitRef(URL, "refs/tags/v1")),
    (f"{URL}?tag=refs/tags/v1", GitRef(URL, "refs/tags/v1")),
    (f"{URL}?branch=b&subdir=d", GitRef(URL, "refs/heads/b", "d")),
    (f"{URL}?ref=x&checksum=abc123", GitRef(URL, "x", checksum="abc123")),
    (f"{URL}?commit=abc123", GitRef(URL, checksum="abc123")),
    (f"{URL}?ref=x#x", GitRef(URL, "x")),
    (f"{URL}?keep-git-dir", GitRef(URL, keep_git_dir=True)),
    (f"{URL}?keep-git-dir=0&submodules=false", GitRef(URL, keep_git_dir=False, submodules=False)),
    (f"{URL}?mtime=commit", GitRef(URL, mtime="commit")),
    (f"{URL}?checksum={COMMIT}&fetch-by-commit", GitRef(URL, checksum=COMMIT, fetch_by_commit=True)),
]
NOT_NAMED = [
    "a.txt", "./x.git", "../x.git", "dir/x.git", "https://h.test/r", "http://h.test/x.git/y", "file:///r.git",
    "github.com/o/r", "ftp://h.test/r.git", "/abs/r.git", "a:b", "", "https://[::1/r.git",
]  # fmt: skip
WRONG = [
    (f"{URL}?nothing=1", 'unexpected query "nothing"'),
    (f"{URL}?ref=", 'query "ref" has no value'),
    (f"{URL}?ref=a&ref=b", 'query "ref" has multiple values'),
    (f"{URL}?ref=a#b", "ref conflicts: 'b' vs 'a'"),
    (f"{URL}?tag=a&branch=b", "ref conflicts"),
    (f"{URL}?subdir=a#:b", "subdir conflicts: 'b' vs 'a'"),
    (f"{URL}?checksum=xyz", "invalid checksum xyz for Git URL, expected hex commit hash"),
    (f"{URL}?mtime=now", "invalid mtime value"),
    (f"{URL}?submodules=maybe", "invalid submodules value"),
    (f"{URL}#--upload-pack=x", "invalid git reference"),
    (f"{URL}#a..b", "invalid git reference"),
    (f"{URL}?fetch-by-commit", "fetch-by-commit requires"),
]


@pytest.mark.parametrize(("text", "expected"), NAMED)
def test_what_names_a_repository(text: str, expected: GitRef) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", NOT_NAMED)
def test_what_names_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_with_a_repository(text: str, message: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse(text)
    assert message in str(raised.value)


def test_contexts_and_the_host_have_forms_of_their_own() -> None:
    assert parse("github.com/o/r#b", context=True) == GitRef("https://github.com/o/r", "b")
    assert parse("file:///r#b:c", files=True) == GitRef("file:///r", "b", "c")


def test_no_password_is_shown() -> None:
    assert redacted("https://me:secret@h.test/r.git") == "https://me:xxxxx@h.test/r.git"
    assert "secret" not in GitRef("https://me:secret@h.test/r.git", "a", "b").shown
