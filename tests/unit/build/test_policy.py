"""How much of a cache may stay, and the section `builder` of daemon.json."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockwright.api.builder_settings import builder_options
from dockwright.build.policy import BuilderOptions, Rule, Space
from dockwright.errors import Invalid

GB = 1 << 30


@pytest.mark.parametrize(
    ("space", "total", "free", "kept"),
    [
        (Space(), 100, 0, 0),
        (Space(reserved_bytes=40), 100, 0, 40),
        (Space(max_used_bytes=60), 100, 0, 60),
        (Space(reserved_bytes=70, max_used_bytes=60), 100, 0, 70),
        (Space(min_free_bytes=10), 100, 50, 100),
        (Space(min_free_bytes=60), 100, 50, 90),
        (Space(min_free_bytes=60, max_used_bytes=95), 100, 50, 90),
        (Space(min_free_bytes=60, max_used_bytes=80), 100, 50, 80),
        (Space(min_free_bytes=500, reserved_bytes=30), 100, 50, 30),
        (Space(min_free_bytes=10, max_used_bytes=80), 100, 50, 80),
    ],
)
def test_what_may_stay(space: Space, total: int, free: int, kept: int) -> None:
    assert space.kept(total, free) == kept


def test_nothing_said_is_what_dockerd_does(tmp_path: Path) -> None:
    options = builder_options({})
    assert options == BuilderOptions()
    rules = options.upkeep_rules(tmp_path)
    assert [rule.everything for rule in rules] == [True, False, False, True]
    assert rules[0].unused_s == 48 * 3600
    assert all(rule.space.max_used_bytes > rule.space.reserved_bytes > 0 for rule in rules[1:])
    assert builder_options({"gc": {"enabled": False}}).upkeep_rules(tmp_path) == ()


def test_the_section_is_read_in_any_case_and_in_both_forms() -> None:
    options = builder_options(
        {
            "GC": {
                "defaultKeepStorage": "20GB",
                "policy": [
                    {"keepStorage": "10GB", "filter": ["unused-for=48h", "type=exec.cachemount"]},
                    {"reservedSpace": "1GB", "maxUsedSpace": "2GB", "minFreeSpace": "3GB", "all": True},
                    {"filter": {"unused-for": {"24h": True}}},
                ],
            },
            "Entitlements": {"network-host": False, "security-insecure": True},
        }
    )
    assert options.entitlements == {"security.insecure"}
    assert options.space == Space(20 * GB)
    assert options.rules == (
        Rule(Space(10 * GB), {"type": ["exec.cachemount"]}, 48 * 3600),
        Rule(Space(GB, 2 * GB, 3 * GB), {}, 0.0, True),
        Rule(Space(), {}, 24 * 3600),
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"gc": {"enabled": "yes"}}, "Expected `bool`"),
        ({"gb": {}}, "unknown field `gb`"),
        ({"gc": {"defaultReservedSpace": "much"}}, "failed to parse defaultreservedSpace"),
        ({"gc": {"policy": [{"filter": ["colour=red"]}]}}, "unknown filter 'colour' of a gc policy"),
        ({"gc": {"policy": [{"filter": ["unused-for=soon"]}]}}, "failed to parse filter unused-for"),
    ],
)
def test_what_is_wrong_with_the_section(document: dict[str, object], message: str) -> None:
    with pytest.raises(Invalid) as raised:
        builder_options(document)
    assert message in str(raised.value)
