"""What `.dockerignore` leaves out, and what wildcards mean."""

from __future__ import annotations

import pytest

from dockwright.errors import Invalid
from dockwright.ignoring import has_wildcard, match, read_ignore_file


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        ("", "a", False),
        ("# a", "a", False),
        ("a", "a", True),
        ("a", "a/b", True),
        ("a", "b/a", False),
        ("a", "ab", False),
        ("a/", "a/b", True),
        ("/a", "a", True),
        ("./a", "a", True),
        ("  a  ", "a", True),
        ("a/../b", "b", True),
        ("a//b", "a/b", True),
        ("*", "a", True),
        ("*", "a/b", True),
        ("*.md", "a.md", True),
        ("*.md", "x/a.md", False),
        ("*/*.md", "x/a.md", True),
        ("*/temp*", "a/temporary.txt", True),
        ("*/temp*", "a/b/temporary.txt", False),
        ("*/*/temp*", "a/b/temporary.txt", True),
        ("temp?", "tempa", True),
        ("temp?", "temp", False),
        ("temp?", "temp/", False),
        ("**", "a/b/c", True),
        ("**/", "a/b/c", True),
        ("**/*.go", "a.go", True),
        ("**/*.go", "a/b/c.go", True),
        ("**/*.go", "a/b/c.gox", False),
        ("**/a", "a", True),
        ("**/a", "x/a", True),
        ("**/a", "x/a/b", True),
        ("**/a", "xa", False),
        ("a/**", "a/b", True),
        ("a/**", "a/b/c", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/xb", False),
        ("a**b", "ab", True),
        ("a**b", "a/x/b", True),
        ("**foo", "a/foo", True),
        ("[ab]", "a", True),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("a[^x]b", "a/b", False),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("a.b", "axb", False),
        ("a+b(c)", "a+b(c)", True),
        ("a{b,c}", "a{b,c}", True),
        ("a$b", "a$b", True),
        ("*\n!a", "a", False),
        ("*\n!a", "b", True),
        ("*\n!a\na", "a", True),
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
        ("dir\n!dir/keep", "dir/keep", False),
        ("dir\n!dir/keep", "dir/other", True),
        ("dir\n!dir/keep", "dir/keep/below", False),
        ("! a", "a", False),
        ("*\n! a", "a", False),
        ("\ufeffa", "a", True),
        (".git", ".git/config", True),
        (".*", ".env", True),
        ("foo/*/bar", "foo/x/bar/baz", True),
        ("é*", "ete", False),
        ("é*", "étage", True),
    ],
)
def test_ignore_files(lines: str, path: str, ignored: bool) -> None:
    assert read_ignore_file(lines).matches(path) is ignored


@pytest.mark.parametrize("line", ["[", "[a", "a[b-", "[]a]", "a\\", "!", "[z-a]", "[-a]"])
def test_patterns_that_are_none(line: str) -> None:
    with pytest.raises(Invalid, match="line 2 of the ignore file"):
        read_ignore_file(f"fine\n{line}")


@pytest.mark.parametrize(
    ("lines", "directory", "may"),
    [
        ("a", "a", False),
        ("a\n!a/b", "a", True),
        ("a\n!a/b/c", "a/b", True),
        ("a\n!b", "a", False),
        ("a\n!**/x", "a", True),
        ("a\n!*/x", "a", True),
        ("a\n!b*/x", "a", False),
    ],
)
def test_whether_a_directory_left_out_has_to_be_looked_into(lines: str, directory: str, may: bool) -> None:
    assert read_ignore_file(lines).may_hold_exceptions(directory) is may


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("a", "a", True),
        ("*", "a", True),
        ("*", "a/b", False),
        ("*/b", "a/b", True),
        ("a*", "a", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("**", "ab", True),
        ("**", "a/b", False),
        ("[!a]", "!", True),
        ("[\\-x]", "-", True),
        ("a\\[b", "a[b", True),
        ("", "", True),
    ],
)
def test_wildcards(pattern: str, name: str, found: bool) -> None:
    assert match(pattern, name) is found


@pytest.mark.parametrize(
    ("path", "has"), [("a", False), ("a*", True), ("a?", True), ("[a]", True), ("a\\*", False), ("a\\\\*", True)]
)
def test_what_has_a_wildcard(path: str, has: bool) -> None:
    assert has_wildcard(path) is has
