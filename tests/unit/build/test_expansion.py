"""Variables: every form of the reference's "Environment replacement", quotes and escapes."""

from __future__ import annotations

import pytest

from dockwright.build.dockerfile.expansion import BadExpansion, expand

VARIABLES = {
    "foo": "value",
    "empty": "",
    "path": "/usr/local/lib/x.tar.gz",
    "spaces": "a b  c",
    "str": "foobarbaz",
    "quote": 'a"b',
    "dots": "1.2.3",
    "_under9": "u",
    "1": "one",
    "12": "twelve",
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$foo", "value"),
        ("${foo}", "value"),
        ("$foo/bar", "value/bar"),
        ("${foo}bar", "valuebar"),
        ("$foobar", ""),
        ("$foo.x", "value.x"),
        ("$foo-x", "value-x"),
        ("$_under9", "u"),
        ("$_under9x", ""),
        ("x$foo$foo", "xvaluevalue"),
        ("$", "$"),
        ("a$", "a$"),
        ("$ x", "$ x"),
        ("$$foo", "foo"),
        ("$%", "$%"),
        ("$1", "one"),
        ("$12", "twelve"),
        ("${1}", "one"),
        ("$1a", "onea"),
        ("\\$foo", "$foo"),
        ("\\${foo}", "${foo}"),
        ("\\\\$foo", "\\value"),
        ("\\a", "a"),
        ("a\\ b", "a b"),
        ("a\\", "a"),
        ("'$foo'", "$foo"),
        ("'${foo}'", "${foo}"),
        ("'a\\b'", "a\\b"),
        ("'it'\"'\"'s'", "it's"),
        ('"$foo"', "value"),
        ('"${foo}"', "value"),
        ('"a b"', "a b"),
        ('"\\$foo"', "$foo"),
        ('"\\""', '"'),
        ('"\\\\"', "\\"),
        ('"\\n"', "\\n"),
        ("\"'$foo'\"", "'value'"),
        ("'\"'", '"'),
        ("$empty", ""),
        ("${unset}", ""),
        ("$quote", 'a"b'),
        # defaults
        ("${foo:-d}", "value"),
        ("${empty:-d}", "d"),
        ("${unset:-d}", "d"),
        ("${foo-d}", "value"),
        ("${empty-d}", ""),
        ("${unset-d}", "d"),
        ("${unset:-}", ""),
        ("${unset:-$foo}", "value"),
        ("${unset:-${foo}}", "value"),
        ("${unset:-${unset2:-deep}}", "deep"),
        ("${unset:-a b}", "a b"),
        ("${unset:-'a}b'}", "a}b"),
        ('${unset:-"a}b"}', "a}b"),
        ("${unset:-a\\}b}", "a}b"),
        ("${unset:-:}", ":"),
        # alternatives
        ("${foo:+d}", "d"),
        ("${empty:+d}", ""),
        ("${unset:+d}", ""),
        ("${foo+d}", "d"),
        ("${empty+d}", "d"),
        ("${unset+d}", ""),
        ("${foo:+$foo!}", "value!"),
        # required
        ("${foo:?no}", "value"),
        ("${foo?no}", "value"),
        ("${empty?no}", ""),
        # prefixes and suffixes
        ("${str#foo}", "barbaz"),
        ("${str#bar}", "foobarbaz"),
        ("${str#*b}", "arbaz"),
        ("${str##*b}", "az"),
        ("${str#f*}", "oobarbaz"),
        ("${str##f*}", ""),
        ("${str#?}", "oobarbaz"),
        ("${str%baz}", "foobar"),
        ("${str%foo}", "foobarbaz"),
        ("${str%b*}", "foobar"),
        ("${str%%b*}", "foo"),
        ("${str%?}", "foobarba"),
        ("${str%%*}", ""),
        ("${str#*}", "foobarbaz"),
        ("${path##*/}", "x.tar.gz"),
        ("${path%/*}", "/usr/local/lib"),
        ("${path%%.*}", "/usr/local/lib/x"),
        ("${dots%.*}", "1.2"),
        ("${dots%%.*}", "1"),
        ("${dots#*.}", "2.3"),
        ("${unset#x}", ""),
        ("${str#}", "foobarbaz"),
        ("${dots#1\\.}", "2.3"),
        ("${dots#1\\*}", "1.2.3"),
        # replacement
        ("${str/b/X}", "fooXarbaz"),
        ("${str//b/X}", "fooXarXaz"),
        ("${str/nothing/X}", "foobarbaz"),
        ("${str/b/}", "fooarbaz"),
        ("${str//b/}", "fooaraz"),
        ("${str/b*/X}", "fooX"),
        ("${str//?a/_}", "foo_r_z"),
        ("${dots//./-}", "1-2-3"),
        ("${path//\\//_}", "_usr_local_lib_x.tar.gz"),
        ("${str/ba/\\1}", "foo1rbaz"),
        ("${str/$foo/X}", "foobarbaz"),
        ("${foo/$empty/x}", "xvalue"),
        ("${unset/a/b}", ""),
    ],
)
def test_forms(text: str, result: str) -> None:
    assert expand(text, VARIABLES).text == result


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]),
        ("  a   b  ", ["a", "b"]),
        ("$spaces", ["a", "b", "c"]),
        ('"$spaces"', ["a b  c"]),
        ("x$spaces", ["xa", "b", "c"]),
        ("'a b' c", ["a b", "c"]),
        ("a\\ b", ["a b"]),
        ("$empty a", ["a"]),
        ("''", [""]),
        ("80 $foo", ["80", "value"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert expand(text, VARIABLES).words == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${", "missing '}'"),
        ("${foo", "missing '}'"),
        ("${foo:", "missing '}'"),
        ("${foo:-", "missing '}'"),
        ("${foo:-x", "missing '}'"),
        ("${foo/a", "missing '}'"),
        ("${foo/a/b", "missing '}'"),
        ("${}", "bad substitution"),
        ("${:}", "bad substitution"),
        ("${{foo}}", "bad substitution"),
        ("${foo!bar}", "unsupported modifier (!)"),
        ("${foo:=x}", "unsupported modifier (:=)"),
        ("${foo:#x}", "unsupported modifier (:#)"),
        ("${unset?}", "unset: not allowed to be unset"),
        ("${unset:?}", "unset: not allowed to be unset"),
        ("${empty:?}", "empty: not allowed to be empty"),
        ("${unset:?set it}", "unset: set it"),
        ("'abc", "matching single-quote"),
        ('"abc', "matching double-quote"),
        ('"$foo', "matching double-quote"),
    ],
)
def test_what_cannot_be_expanded(text: str, message: str) -> None:
    with pytest.raises(BadExpansion) as raised:
        expand(text, VARIABLES)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "result"),
    [("`$foo", "$foo"), ("C:\\dir\\$foo", "C:\\dir\\value"), ("a``b", "a`b"), ('"`""', '"')],
)
def test_a_backtick_as_the_escape_character(text: str, result: str) -> None:
    assert expand(text, VARIABLES, "`").text == result


def test_quotes_can_be_kept_for_who_cuts_words_later() -> None:
    assert expand("'$foo' \"$foo\" a\\ b", VARIABLES, keep_quotes=True).text == "'$foo' \"value\" a\\ b"


def test_what_was_used_and_what_was_not_set_is_told() -> None:
    found = expand("$foo ${unset} ${other:-x} ${empty:+y}", VARIABLES)
    assert (found.used, found.unset) == ({"foo"}, {"unset"})
