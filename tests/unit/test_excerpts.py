"""Lines around the ones that are meant."""

from __future__ import annotations

import pytest

from dockwright.excerpts import excerpt

TEXT = "\n".join("abcdefgh")


@pytest.mark.parametrize(
    ("marked", "shown"),
    [
        ([1], range(1, 4)),
        ([4], range(2, 7)),
        ([8], range(6, 9)),
        ([3, 4], range(2, 6)),
        ([1, 2], range(1, 4)),
    ],
)
def test_lines_around_are_shown_as_far_as_there_are_any(marked: list[int], shown: range) -> None:
    _, _, *lines, _, end = excerpt("File", TEXT, marked).split("\n")
    assert [int(line.split("|")[0]) for line in lines] == list(shown)
    assert [int(line.split("|")[0]) for line in lines if ">>>" in line] == marked
    assert end == ""


def test_its_form_is_the_one_of_build_tools() -> None:
    rule = "-" * 20
    assert excerpt("File", "a\nb", [2]) == f"File:2\n{rule}\n   1 |     a\n   2 | >>> b\n{rule}\n"


@pytest.mark.parametrize("marked", [[], [0], [99]])
def test_lines_that_are_not_there_give_nothing(marked: list[int]) -> None:
    assert excerpt("File", TEXT, marked) == ""
