"""The counter of sentences that hide their subject: its rules, and that counts do not rise."""

import json

import pytest

from tools.prose import count


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("What it paid is gone.", ["bare"]),
        ("The stage books what it paid.", []),
        ("Nobody pays for what is lost.", ["person", "bare"]),
        ("The keeper who buys first pays less.", ["person"]),
        ("Who pays, and what is left?", []),
        ("Whoever calls first decides who bears it.", ["person", "bare", "person"]),
        ("The amount that the stage paid is gone.", []),
    ],
)
def test_hits_of_a_text(text, rules) -> None:
    assert sorted(rule for rule, _ in count.iter_hits(text)) == sorted(rules)


def test_a_rise_is_a_line_with_its_place() -> None:
    limits = {room: dict.fromkeys(count.RULES, 3) for room in count.ROOMS}
    counts = {room: dict.fromkeys(count.RULES, 3) for room in count.ROOMS}
    assert count.check_counts(counts, limits) == []
    counts["docs"]["bare"] = 4
    (line,) = count.check_counts(counts, limits)
    assert line.startswith(
        "tools/prose/counts.json: docs: bare: 4 sentences hide their subject, expected at most 3;"
    )


def test_limits_are_of_every_room_and_rule() -> None:
    assert {room: set(found) for room, found in json.loads(count.LIMITS.read_text()).items()} == {
        room: set(count.RULES) for room in count.ROOMS
    }
