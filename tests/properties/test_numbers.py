"""Each numbered property is asserted by exactly one function, and the page names it."""

import re
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

import backstop
from backstop.proof.properties.property_registry import (
    COUNTERFACTUAL_PROPERTIES,
    HISTORY_PROMISES,
    HISTORY_PROPERTIES,
    PROPERTIES,
    REFUSAL_PROPERTIES,
    STATE_PROPERTIES,
    TRANSITION_PROMISES,
    TRANSITION_PROPERTIES,
    transition_promise,
)

ROOT = Path(backstop.__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| .+ \| (\w+) \| `([\w.]+)` \|$", re.MULTILINE)
KINDS: dict[str, dict[int, Any]] = {
    "state": STATE_PROPERTIES,
    "step": {**TRANSITION_PROPERTIES, **TRANSITION_PROMISES},
    "history": {**HISTORY_PROPERTIES, **HISTORY_PROMISES},
    "refusal": REFUSAL_PROPERTIES,
    "future": COUNTERFACTUAL_PROPERTIES,
}
# Properties that are asserted where the thing itself is done.
ELSEWHERE = {19, 20, 230}


def rows():
    found = [
        (int(number), kind, name)
        for number, kind, name in ROW.findall((ROOT / "docs/reference/properties.md").read_text())
    ]
    for _, _, name in found:
        find(name)  # one is asserted by a test, which is loaded by this
    return found


def find(name):
    module, *rest = name.rpartition(".")[0], name.rpartition(".")[2]
    try:
        return getattr(import_module(module), rest[0])
    except ModuleNotFoundError:
        module, _, cls = module.rpartition(".")
        return attrgetter(f"{cls}.{rest[0]}")(import_module(module))


def test_the_page_and_the_code_have_the_same_numbers():
    numbers = [number for number, _, _ in rows()]
    assert sorted(numbers) == sorted(PROPERTIES)


def test_each_row_names_the_function_that_carries_its_number():
    for number, _, name in rows():
        assert find(name) is PROPERTIES[number], name


def test_each_row_names_its_kind():
    for number, kind, _ in rows():
        if number not in ELSEWHERE:
            assert number in KINDS[kind]
    assert PROPERTIES.keys() - ELSEWHERE == set().union(*KINDS.values())


def test_properties_of_a_kind_are_in_the_order_of_their_numbers():
    # Campaigns choose among them by their place: a seed must not depend on which module is imported first.
    for properties in (
        STATE_PROPERTIES,
        TRANSITION_PROPERTIES,
        TRANSITION_PROMISES,
        HISTORY_PROPERTIES,
        HISTORY_PROMISES,
        REFUSAL_PROPERTIES,
        COUNTERFACTUAL_PROPERTIES,
    ):
        assert list(properties) == sorted(properties)


def test_no_promise_is_a_property():
    promised = TRANSITION_PROMISES.keys() | HISTORY_PROMISES.keys()
    assert promised.isdisjoint(TRANSITION_PROPERTIES.keys() | HISTORY_PROPERTIES.keys())

    # All of them may be kept today: one that takes a property's number is refused.
    def taken(step, changes):
        pass

    with pytest.raises(ValueError, match="property 5 is asserted twice"):
        transition_promise(5)(taken)
    assert 5 not in TRANSITION_PROMISES


def test_the_page_lists_the_promises_of_today():
    page = (ROOT / "docs/reference/properties.md").read_text().split("## Promises")[1]
    listed = {int(number) for number, _, _ in ROW.findall(page)}
    assert listed == TRANSITION_PROMISES.keys() | HISTORY_PROMISES.keys()


def test_each_number_is_written_once_in_the_sources():
    decorator = re.compile(
        r"^\s*@(?:asserts_property|(?:state|transition|history|refusal|counterfactual)_(?:property|promise))\(\s*(\d+)\b",
        re.M,
    )
    found = [
        int(number)
        for folder in ("offchain", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number in decorator.findall(path.read_text())
    ]
    assert sorted(found) == sorted(PROPERTIES)
