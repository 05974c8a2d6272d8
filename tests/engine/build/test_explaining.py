"""Why a step is not in the cache, what is kept of one that fails, and which stages are built anyway."""

from __future__ import annotations

import pytest
from tests.engine.build.conftest import Bench

from dockwright.build import Missed, StepFailed

pytestmark = pytest.mark.root

TEXT = "FROM busybox\nARG A=1\nCOPY src /src\nRUN echo $A > /a\nRUN --mount=type=bind,source=b.txt,target=/b cat /b\n"
FILES: dict[str, str | bytes] = {"src/one.txt": "1", "src/two.txt": "2", "b.txt": "b"}


async def explained(bench: Bench, text: str, **options: object) -> dict[str, str]:
    """What each step that missed says, by the number of its step."""
    outcome = await bench.build(text, explain=True, **options)  # type: ignore[arg-type]
    missed = [one for one in outcome.progress if isinstance(one, Missed)]
    return {one.title.partition("]")[0].removeprefix("[stage-0 "): one.text for one in missed}


async def test_the_first_input_that_differs_is_named(bench: Bench) -> None:
    assert await explained(bench, TEXT, files=FILES) == dict.fromkeys(
        ("2/4", "3/4", "4/4"), "the step is new: it was not built before"
    )
    assert await explained(bench, TEXT) == {}
    changed = await explained(bench, TEXT, files={"src/two.txt": "other"})
    assert changed["2/4"].startswith("the file two.txt changed from ")
    assert changed["3/4"].startswith("the base changed from sha256:")
    added = await explained(bench, TEXT, files={"src/three.txt": "3"})
    assert added["2/4"].startswith("the file three.txt is new")
    (bench.root / "src" / "one.txt").unlink()
    gone = await explained(bench, TEXT)
    assert gone["2/4"] == "the file one.txt is gone"
    argument = await explained(bench, TEXT, arguments={"A": "2"})
    assert list(argument) == ["3/4", "4/4"]
    assert argument["3/4"] == "the variable A changed from 1 to 2"
    mounted = await explained(bench, TEXT, arguments={"A": "2"}, files={"b.txt": "B"})
    assert mounted == {"4/4": mounted["4/4"]}
    assert mounted["4/4"].startswith("the file ")
    command = await explained(bench, TEXT.replace("echo $A", "echo -n $A"), arguments={"A": "2"})
    assert command["3/4"].startswith("the command changed from ")
    pruned = await bench.engine.builder.prune({}, everything=True)
    assert pruned.ids
    again = await explained(bench, TEXT, arguments={"A": "3"})
    assert again["2/4"].startswith("the cache changed from the step's result to none: it was pruned")


async def test_the_tree_of_a_failed_step_is_kept_where_it_is_asked_for(bench: Bench) -> None:
    text = "FROM busybox\nENV E=f\nWORKDIR /w\nARG A=arg\nRUN echo half > done; exit 7\n"
    with pytest.raises(StepFailed) as plain:
        await bench.build(text)
    assert plain.value.image_id == ""
    with pytest.raises(StepFailed) as kept:
        await bench.build(text, keep_failed=True)
    image = await bench.engine.images.resolve(kept.value.image_id)
    said = await bench.output(image.id, "sh", "-c", "cat /w/done; pwd; echo $E $A")
    assert said == "half\n/w\nf arg\n"
    await bench.engine.images.prune({"dangling": ["true"]})


async def test_chosen_stages_are_built_whatever_the_cache_has(bench: Bench) -> None:
    text = (
        "FROM busybox AS One\nRUN echo 1 > /1\nFROM busybox AS two\nRUN echo 2 > /2\nFROM two\nCOPY --from=one /1 /1\n"
    )
    await bench.build(text)
    outcome = await bench.build(text, no_cache=frozenset({"one"}))
    assert {title[1:4]: cached for title, cached in outcome.cached.items()} == {"one": False, "two": True, "sta": True}
