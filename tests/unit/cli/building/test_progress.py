"""The faces of a build's progress, fed by hand and on a clock of their own."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dockwright.cli.building import faces
from dockwright.cli.building.colors import Colors
from dockwright.cli.building.events import Log, SourceInfo, Status, Update, Vertex, Warning
from dockwright.cli.building.lines import aligned, clipped, harmless, size, width
from dockwright.cli.building.model import KEPT_LINES, Model
from dockwright.cli.building.plain import Plain
from dockwright.cli.building.rawjson import RawJson
from dockwright.cli.building.terminal import Terminal
from dockwright.errors import Invalid

SECOND = 10**9
EPOCH = 1_700_000_000 * SECOND


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def now_ns(self) -> int:
        return EPOCH + int(self.now * SECOND)


def vertex(name: str, began: float | None = 0.0, ended: float | None = None, **more: Any) -> Vertex:
    def moment(seconds: float | None) -> int | None:
        return None if seconds is None else EPOCH + int(seconds * SECOND)

    return Vertex(f"sha256:{name}", name, (), moment(began), moment(ended), **more)


def log(name: str, text: str, after: float = 0.0) -> Log:
    return Log(f"sha256:{name}", text.encode(), 1, EPOCH + int(after * SECOND))


class Shown:
    """A face's output, and on a terminal what its last drawing left on the screen."""

    def __init__(self) -> None:
        self.text = ""
        self.clock = Clock()

    def write(self, text: str) -> None:
        self.text += text

    def screen(self) -> list[str]:
        """The screen after all that was written: cursor movements done, colours left out."""
        rows, at = [""], 0
        for up, start, clear, _, text in re.findall(
            r"\x1b\[(\d+)A|(\r)|\x1b\[(K|J)|(\x1b\[[0-9;?]*[mhl])|([^\x1b\r]+)", self.text
        ):
            if up:
                at -= int(up)
                assert at >= 0, "the cursor left the screen"
            elif clear == "J":
                del rows[at + 1 :]
                rows[at] = ""
            elif not start and not clear and text:
                for number, piece in enumerate(text.split("\n")):
                    if number:
                        at += 1
                        rows += [""] * (at + 1 - len(rows))
                    if piece:
                        rows[at] = piece
        return [row for row in rows if row]


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def plain(shown: Shown) -> Plain:
    return Plain(shown.write, shown.clock)


def terminal(shown: Shown, columns: int = 60, rows: int = 20, colors: Colors | None = None) -> Terminal:
    return Terminal(
        shown.write, lambda: (columns, rows), colors or Colors(), clock=shown.clock, now_ns=shown.clock.now_ns
    )


# The model.


def test_output_is_cut_into_lines_wherever_it_was_cut_on_its_way() -> None:
    model = Model()
    model.take(Update([vertex("a")], logs=[log("a", "one\ntw", 1), log("a", "o", 2), log("a", "\n\nthree", 3)]))
    step = model.steps[0]
    assert [(line.text, line.after_ns // SECOND) for line in step.lines] == [
        ("one", 1),
        ("two", 1),
        ("", 3),
        ("three", 3),
    ]
    assert (step.open, step.written) == (True, 4)


def test_a_character_may_come_in_pieces() -> None:
    model = Model()
    euro = "€".encode()
    model.take(Update([vertex("a")], logs=[Log("sha256:a", b"1" + euro[:1]), Log("sha256:a", euro[1:] + b"\n\xff\n")]))
    assert [line.text for line in model.steps[0].lines] == ["1€", "\ufffd"]


def test_a_step_that_ran_twice_counts_the_time_it_ran() -> None:
    model = Model()
    model.take(Update([vertex("a", 0, 2)]))
    model.take(Update([vertex("a", 1, 4)]))
    model.take(Update([vertex("a", 10)]))
    assert not model.steps[0].completed
    assert model.steps[0].running_ns(EPOCH + 11 * SECOND) == 5 * SECOND


def test_the_graph_told_again_changes_no_step_that_has_begun() -> None:
    model = Model()
    assert model.take(Update([vertex("a", None), vertex("b", None)])) == set()
    assert model.take(Update([vertex("a", 0)])) == {"sha256:a"}
    assert model.take(Update([vertex("a", None)])) == set()
    assert (model.total, len(model.steps), model.steps[0].completed) == (2, 1, False)


def test_what_is_told_of_unknown_steps_is_left_out() -> None:
    model = Model()
    assert model.take(Update(statuses=[Status("x", "sha256:a")], logs=[log("a", "b")])) == set()


# Plain.


def test_plain_tells_each_step_with_its_output_and_its_time(plain: Plain, shown: Shown) -> None:
    plain.take(Update([vertex("one", 0), vertex("two", None)]))
    plain.take(Update(logs=[log("one", "hello\n", 0.312)]))
    plain.take(Update([vertex("one", 0, 1.25), vertex("two", 1.25, 1.25, cached=True)]))
    plain.close()
    assert shown.text == "#1 one\n#1 0.312 hello\n#1 DONE 1.2s\n\n#2 two\n#2 CACHED\n"


def test_plain_tells_a_line_in_pieces_as_it_comes(plain: Plain, shown: Shown) -> None:
    plain.take(Update([vertex("one", 0)], logs=[log("one", "hel", 1)]))
    plain.take(Update(logs=[log("one", "lo", 2)]))
    plain.take(Update(logs=[log("one", "\nworld", 12)]))
    plain.take(Update([vertex("one", 0, 12.5)]))
    assert shown.text == "#1 one\n#1 1.000 hello\n#1 12.00 world\n#1 DONE 12.5s\n"


def test_plain_loses_no_line_of_a_step_that_was_not_shown(plain: Plain, shown: Shown) -> None:
    plain.take(Update([vertex("one", 0), vertex("two", 0)], logs=[log("one", "a\n")]))
    first = "one" if "#1 one" in shown.text else "two"
    other = "two" if first == "one" else "one"
    count = KEPT_LINES * 3
    for number in range(count):
        plain.take(Update(logs=[log(other, f"line {number}\n", 1)]))
    plain.take(Update([vertex(other, 0, 2)]))
    assert [line for line in shown.text.splitlines() if "line " in line] == [
        f"#2 1.000 line {number}" for number in range(count)
    ]


def test_plain_gives_a_waiting_step_its_turn(plain: Plain, shown: Shown) -> None:
    plain.take(Update([vertex("one", 0)]))
    plain.take(Update([vertex("two", 0)]))
    plain.take(Update(logs=[log("two", "x\n", 1)]))
    assert "two" not in shown.text
    shown.clock.now = 11.0
    plain.tick()
    assert shown.text == "#1 one\n#1 ...\n\n#2 two\n#2 1.000 x\n"
    plain.take(Update([vertex("one", 0, 12)]))
    assert shown.text.endswith("#2 ...\n\n#1 one\n#1 DONE 12.0s\n")


def test_plain_tells_a_failure_and_once_more_at_the_end(plain: Plain, shown: Shown) -> None:
    lines = "".join(f"{number}\n" for number in range(12))
    plain.take(Update([vertex("bad", 0), vertex("other", 0)], logs=[log("bad", lines, 0.5)]))
    plain.take(Update([vertex("bad", 0, 1, error="exit code: 1"), vertex("other", 0, 1, error="x: context canceled")]))
    plain.close()
    assert "ERROR: exit code: 1\n" in shown.text
    assert re.search(r"#\d CANCELED\n", shown.text)
    assert shown.text.endswith("------\n > bad:\n" + "".join(f"0.500 {n}\n" for n in range(2, 12)) + "------\n")


def test_plain_tells_parts_when_they_moved_on(plain: Plain, shown: Shown) -> None:
    def part(current: int, at: float, ended: float | None = None) -> Update:
        return Update(
            statuses=[
                Status(
                    "blob",
                    "sha256:pull",
                    "",
                    current,
                    1_000_000,
                    EPOCH + int(at * SECOND),
                    EPOCH,
                    None if ended is None else EPOCH + int(ended * SECOND),
                )
            ]
        )

    plain.take(Update([vertex("pull", 0)]))
    plain.take(part(0, 0))
    plain.take(part(10_000, 1))  # too little, too soon
    plain.take(part(100_000, 2))
    plain.take(part(1_000_000, 3, 3))
    plain.take(Update([vertex("pull", 0, 3)]))
    assert shown.text.splitlines() == [
        "#1 pull",
        "#1 blob 0B / 1.00MB",
        "#1 blob 100.00kB / 1.00MB 2.0s",
        "#1 blob 1.00MB / 1.00MB 3.0s done",
        "#1 DONE 3.0s",
    ]


def test_plain_tells_warnings(plain: Plain, shown: Shown) -> None:
    plain.take(Update([vertex("load", 0)], warnings=[Warning("sha256:load", "Rule: text (line 1)")]))
    assert "#1 WARN: Rule: text (line 1)\n" in shown.text


# A terminal.


def test_the_terminal_shows_steps_side_by_side_with_their_last_lines(shown: Shown) -> None:
    face = terminal(shown)
    face.take(Update([vertex("one", 0), vertex("two", 0), vertex("three", None)], logs=[log("one", "a\nb\n")]))
    shown.clock.now = 1.5
    face.tick()
    assert shown.screen() == [
        "[+] Building 1.5s (0/3)",
        f" => one{'1.5s':>52}",
        " => => # a",
        " => => # b",
        f" => two{'1.5s':>52}",
    ]


def test_steps_that_run_share_the_room_below_them(shown: Shown) -> None:
    face = terminal(shown, rows=9)
    lines = "1\n2\n3\n4\n5\n6\n7\n"
    shown.clock.now = 1
    face.take(Update([vertex("one", 0), vertex("two", 0)], logs=[log("one", lines), log("two", lines)]))
    assert [row.split("# ")[1] for row in shown.screen() if "# " in row] == ["6", "7", "5", "6", "7"]


def test_a_build_that_failed_says_so(shown: Shown) -> None:
    face = terminal(shown)
    face.take(Update([vertex("one", 0, 1, error="exit code: 1")]))
    face.close()
    assert shown.screen()[0].endswith("(1/1) FAILED")


def test_output_is_folded_when_its_step_is_done(shown: Shown) -> None:
    face = terminal(shown)
    face.take(Update([vertex("one", 0)], logs=[log("one", "a\n")]))
    shown.clock.now = 1
    face.take(Update([vertex("one", 0, 0.7)]))
    assert shown.screen() == ["[+] Building 1.0s (1/1) FINISHED", f" => one{'0.7s':>52}"]


@pytest.mark.parametrize("rows", [4, 6, 10, 24])
def test_the_block_is_never_higher_than_the_window(shown: Shown, rows: int) -> None:
    face = terminal(shown, rows=rows)
    steps = [vertex(f"s{number}", 0, None if number % 3 else 0.5) for number in range(30)]
    shown.clock.now = 1
    face.take(Update(steps, logs=[log(f"s{number}", "x\ny\nz\n") for number in range(30) if number % 3]))
    assert 2 <= len(shown.screen()) < rows
    assert " … " in shown.screen()[1]


def test_all_steps_stay_in_the_end(shown: Shown) -> None:
    face = terminal(shown, rows=5)
    face.take(Update([vertex(f"s{number}", 0, 0.5) for number in range(9)]))
    face.close()
    assert [row.split()[1] for row in shown.screen()[1:]] == [f"s{number}" for number in range(9)]


def test_the_terminal_ends_with_the_output_of_what_failed(shown: Shown) -> None:
    face = terminal(shown)
    face.take(Update([vertex("bad", 0)], logs=[log("bad", "\x1b[31mwhy\x1b[0m\n", 0.1)]))
    face.take(Update([vertex("bad", 0, 1, error="exit code: 1"), vertex("c", 0, 1, error="context canceled")]))
    face.close()
    assert shown.screen()[1:3] == [f" => ERROR bad{'1.0s':>46}", f" => CANCELED c{'1.0s':>45}"]
    assert shown.screen()[3:] == ["------", " > bad:", "0.100 why", "------"]
    assert shown.text.count("\x1b[?25l") >= 1
    assert shown.text.rindex("\x1b[?25h") > shown.text.rindex("\x1b[?25l")


def test_a_narrow_window_breaks_no_line(shown: Shown) -> None:
    face = terminal(shown, columns=24)
    shown.clock.now = 1
    face.take(
        Update(
            [vertex("a very long name of a step 日本語", 0)], logs=[log("a very long name of a step 日本語", "y" * 99)]
        )
    )
    assert max(map(width, shown.screen())) < 24


def test_drawing_is_no_more_often_than_ten_times_a_second(shown: Shown) -> None:
    face = terminal(shown)
    shown.clock.now = 1.0
    face.take(Update([vertex("a", 0)]))
    drawn = len(shown.text)
    shown.clock.now = 1.05
    face.take(Update([vertex("b", 0)]))
    assert len(shown.text) == drawn


def test_parts_are_shown_while_they_move_and_in_the_end(shown: Shown) -> None:
    face = terminal(shown)
    shown.clock.now = 1
    moving = Status("sha256:abc", "sha256:pull", "", 500, 2000, EPOCH, EPOCH)
    face.take(Update([vertex("pull", 0)], [moving]))
    assert shown.screen()[2] == " => => # sha256:abc 500B / 2.00kB"
    face.take(
        Update([vertex("pull", 0, 1)], [Status("sha256:abc", "sha256:pull", "", 2000, 2000, EPOCH, EPOCH, EPOCH)])
    )
    face.close()
    assert shown.screen()[2] == " => => sha256:abc 2.00kB / 2.00kB"


# JSON.


def test_rawjson_is_an_update_a_line_in_buildkits_spelling(shown: Shown) -> None:
    face = RawJson(shown.write)
    source = SourceInfo("Dockerfile", b"FROM a", "Dockerfile")
    face.take(Update([Vertex("sha256:a", "one", ("sha256:b",), EPOCH + 500_000_000, None, True)]))
    face.take(
        Update(
            statuses=[Status("x", "sha256:a", "", 1, 2, EPOCH)],
            logs=[log("a", "hi")],
            warnings=[Warning("sha256:a", "short", ("why",), "http://x", 1, source, (3,))],
        )
    )
    first, second = map(json.loads, shown.text.splitlines())
    assert first == {
        "vertexes": [
            {
                "digest": "sha256:a",
                "inputs": ["sha256:b"],
                "name": "one",
                "started": "2023-11-14T22:13:20.5Z",
                "cached": True,
            }
        ]
    }
    moment = "2023-11-14T22:13:20Z"
    assert second == {
        "statuses": [{"id": "x", "vertex": "sha256:a", "total": 2, "current": 1, "timestamp": moment}],
        "logs": [{"vertex": "sha256:a", "stream": 1, "data": "aGk=", "timestamp": moment}],
        "warnings": [
            {
                "vertex": "sha256:a",
                "level": 1,
                "short": "c2hvcnQ=",
                "detail": ["d2h5"],
                "url": "http://x",
                "sourceInfo": {"filename": "Dockerfile", "data": "RlJPTSBh", "language": "Dockerfile"},
                "range": [{"start": {"line": 3}, "end": {"line": 3}}],
            }
        ],
    }


# Choosing, colours, text.


@pytest.mark.parametrize(
    ("wanted", "environment", "quiet", "expected"),
    [
        ("", {}, False, "auto"),
        ("", {"BUILDKIT_PROGRESS": "plain"}, False, "plain"),
        ("tty", {"BUILDKIT_PROGRESS": "plain"}, False, "tty"),
        ("", {"BUILDKIT_PROGRESS": "plain"}, True, "quiet"),
        ("quiet", {}, False, "quiet"),
        ("none", {}, False, "none"),
    ],
)
def test_the_mode_is_what_the_option_says_else_the_environment(
    wanted: str, environment: dict[str, str], quiet: bool, expected: str
) -> None:
    assert faces.mode(wanted, environment, quiet=quiet) == expected


def test_modes_that_cannot_be_are_refused() -> None:
    with pytest.raises(Invalid, match="invalid progress mode fancy"):
        faces.mode("fancy", {}, quiet=False)
    with pytest.raises(Invalid, match="progress=plain and quiet cannot be used together"):
        faces.mode("plain", {}, quiet=True)


def test_colours_follow_the_environment() -> None:
    assert Colors.of({"NO_COLOR": "1"}) == (Colors(), [])
    colors, complaints = Colors.of({"BUILDKIT_COLORS": "run=green:error=255,0,0:nonsense:warning=puce"})
    assert (colors.run, colors.error, colors.cancel) == ("32", "38;2;255;0;0", "33")
    assert len(complaints) == 2


def test_no_colour_is_written_without_colours(shown: Shown) -> None:
    face = terminal(shown)
    face.take(Update([vertex("a", 0, 1)]))
    face.close()
    assert "m" not in re.sub(r"[^\x1b]*\x1b\[[0-9;?]*([a-zA-Z])[^\x1b]*", r"\1", shown.text)


def test_what_programs_write_is_made_harmless() -> None:
    assert harmless("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x08") == "red x"
    assert harmless("10%\r50%\r100%\r") == "100%"
    assert harmless("a\tb") == "a       b"


def test_text_is_cut_by_cells() -> None:
    assert (width("日本"), clipped("日本語", 5), clipped("abc", 3), clipped("abcd", 3)) == (4, "日本…", "abc", "ab…")
    assert aligned("left side", "1.0s", 10) == "left… 1.0s"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (999, "999B"), (1000, "1.00kB"), (2_810_000, "2.81MB"), (10**16, "10.00PB")]
)
def test_sizes_have_two_decimals(count: int, text: str) -> None:
    assert size(count) == text


def test_warnings_are_listed_in_the_end_and_expanded_where_wanted() -> None:
    one = Warning("v", "Rule: text (line 1)", ("why",), "http://x", 1, SourceInfo("File", b"FROM A"), (1,))
    assert faces.warnings_text([], Colors(), expand=True) == ""
    assert faces.warnings_text([one], Colors(), expand=False) == (
        "\n 1 warning found (use --debug to expand):\n - Rule: text (line 1)\n"
    )
    text = faces.warnings_text([one, one], Colors(), expand=True)
    assert "2 warnings found:" in text
    assert "why\nMore info: http://x\nFile:1\n" in text
