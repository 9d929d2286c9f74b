"""The matcher on a file of signed orders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstop.deployment.devnet_trader_signatures import derive_trader_key, get_trader_account, sign_digest
from backstop.deployment.role_accounts import get_account
from backstop.keepers.keeper_role_register import Intent, Keeper, KeeperMemory
from backstop.keepers.signed_order_file import OrderFile, format_order
from backstop.model.arithmetic import WAD
from backstop.model.margin_orders import Order, order_digest
from tests.support.margin_scenario import MarginScenario


class Desk:
    """A file of orders, and the matcher that reads it."""

    def __init__(self, world: MarginScenario, path: Path) -> None:
        self.world, self.path, self.said = world, path, list[str]()
        model = world.run.session.model.world
        file = OrderFile(path, model.chain_id, world.run.at["MarginOrders"], self.said.append)
        group = world.build_keeper("matcher", most=100).group
        self.keeper = Keeper(
            "matcher", get_account("matcher"), group, 0, orders=file, reports=world.run.signed
        )
        self.memory = KeeperMemory()

    def add(self, name: str, size: int, coins: int, **more: int) -> Order:
        """So many stablecoins for a whole ether."""
        order, signature = self.world.sign_order_at_mark(name, size, price=coins * WAD // 100, **more)
        self.write(format_order(order, signature) + "\n")
        return order

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def wants(self) -> list[tuple[str, str, int, int]]:
        """Maker, taker, lots, the price in stablecoins for an ether."""
        found = []
        for intent in self.fills():
            maker, _, taker, _, lots = intent.action.args
            found.append((maker.account, taker.account, lots, maker.price * 100 // WAD))
        return found

    def fills(self) -> list[Intent]:
        """Return the `fill` calls that the matcher wants after it has submitted marks."""
        intents = list(self.keeper.decide_calls(self.world.view, self.memory, 0))
        return [each for each in intents if each.action.method == "fill"]

    def match(self) -> list[str | None]:
        """Submit all fills; return the reason of each refusal."""
        found = []
        for intent in self.fills():
            found.append(self.world.run.apply(intent.action).reason)
            self.memory.record_outcome(intent.about, found[-1] is None, self.world.view.timestamp)
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A band of 10%, and no bonds."""
    world = MarginScenario(band=1_000, third_bond=0)
    for name in ("ann", "bob", "cleo", "dan"):
        world.deposit_margin(name, 100)
    yield Desk(world, tmp_path / "orders.jsonl")
    world.close()


def test_the_best_price_is_matched_first_then_the_older(desk: Desk) -> None:
    ann, bob, cleo, dan = map(get_trader_account, ("ann", "bob", "cleo", "dan"))
    desk.add("ann", -10, 201)
    desk.add("bob", -10, 200)
    desk.add("cleo", -10, 200)
    assert desk.wants() == []
    desk.add("dan", 25, 201)
    # At the maker's limit; the last one gets a part.
    assert desk.wants() == [(bob, dan, 10, 200), (cleo, dan, 10, 200), (ann, dan, 5, 201)]
    assert desk.match() == [None, None, None] and desk.wants() == []
    # The rest of the oldest waits for its price: who pays most gets it.
    desk.add("bob", 10, 200)
    assert desk.wants() == []
    desk.add("bob", 3, 204)
    desk.add("cleo", 3, 205)
    assert desk.wants() == [(ann, cleo, 3, 201), (ann, bob, 2, 201)]


def test_the_maker_is_who_signed_first_whatever_comes_first(desk: Desk) -> None:
    """An order may reach the matcher late; two of one time have no price but one that both name."""
    ann, bob, cleo = map(get_trader_account, ("ann", "bob", "cleo"))
    desk.add("ann", -10, 200, nonce=9)
    desk.add("bob", 10, 202, nonce=8)
    assert desk.wants() == [(bob, ann, 10, 202)]
    assert desk.match() == [None]
    desk.add("ann", -10, 200, nonce=11)
    desk.add("bob", 10, 201, nonce=11)
    assert desk.wants() == []
    desk.add("cleo", 10, 200, nonce=11)
    assert desk.wants() == [(ann, cleo, 10, 200)]
    assert desk.match() == [None]


def test_void_orders_are_not_matched(desk: Desk) -> None:
    world = desk.world
    soon = world.view.timestamp + 10
    desk.add("ann", 10, 200, expiry=soon)
    low, high = desk.add("bob", 10, 200, nonce=10_000), desk.add("bob", 11, 200, nonce=10_001)
    desk.add("cleo", -30, 200)
    assert [lots for _, _, lots, _ in desk.wants()] == [10, 10, 10]
    world.do("MarginOrders", "cancel", low, by=get_trader_account("bob"))
    assert [lots for _, _, lots, _ in desk.wants()] == [10, 11]
    world.do("MarginOrders", "raise_nonce", high.nonce + 1, by=get_trader_account("bob"))
    assert [lots for _, _, lots, _ in desk.wants()] == [10]
    world.run.advance_clock(soon + 1)
    assert desk.wants() == []


def test_one_account_does_not_trade_with_itself(desk: Desk) -> None:
    desk.add("ann", 10, 200)
    desk.add("ann", -10, 200)
    assert desk.wants() == []
    desk.add("bob", -10, 200)
    assert [lots for _, _, lots, _ in desk.wants()] == [10]


def test_an_order_that_only_reduces_is_matched_as_far_as_it_does(desk: Desk) -> None:
    desk.world.trade_at_mark("ann", "bob", 10)
    desk.add("ann", -30, 200, reduce_only=True)
    # These two would not: one has nothing, the other would have more.
    desk.add("cleo", -30, 200, reduce_only=True)
    desk.add("bob", -30, 200, reduce_only=True)
    desk.add("dan", 25, 200)
    assert desk.wants() == [(get_trader_account("ann"), get_trader_account("dan"), 10, 200)]
    assert desk.match() == [None] and desk.wants() == []


def test_a_refused_pair_stops_nobody_else(desk: Desk) -> None:
    desk.add("poor", -10, 199)
    desk.add("ann", -10, 200)
    desk.add("bob", 10, 200)
    assert desk.match() == ["trading: initial margin"]
    assert desk.wants() == [(get_trader_account("ann"), get_trader_account("bob"), 10, 200)]


def test_what_is_sent_is_not_sent_again(desk: Desk) -> None:
    desk.add("ann", -20, 200)
    desk.add("bob", 10, 200)
    desk.memory.under_way = {desk.fills()[0].about}
    # What the first has left is known once that is mined.
    desk.add("cleo", 10, 200)
    assert desk.wants() == []
    desk.memory.under_way = set()
    assert len(desk.wants()) == 2


def test_a_line_that_is_no_order_is_told_once(desk: Desk) -> None:
    assert desk.wants() == [] and desk.wants() == []
    assert desk.said == [f"there are no orders in {desk.path} yet: No such file or directory"]
    desk.said.clear()
    order, signature = desk.world.sign_order_at_mark("ann", 10)
    good = json.loads(format_order(order, signature))
    wrong = {
        "it is not a JSON object": "rubbish",
        "this program reads schema_version 1": good | {"schema_version": 2},
        "an order has the fields": {k: v for k, v in good.items() if k != "nonce"},
        "see 'more'": good | {"more": 1},
        "'market' is the number of a market": good | {"market": "0"},
        "'size' is a whole number in quotes": good | {"size": 10},
        "'size' is not a number of lots": good | {"size": "0"},
        "'price' is too large": good | {"price": str(2**96)},
        "'price' is zero": good | {"price": "0"},
        "'expiry' is a whole number in quotes": good | {"expiry": "-1"},
        "'reduce_only' is true or false": good | {"reduce_only": 0},
        "'account' is 20 bytes in hex": good | {"account": "ann"},
        "'signature' is 65 bytes in hex": good | {"signature": "0x00"},
        "has not signed it for": good | {"price": "1"},
    }
    for content in wrong.values():
        desk.write((content if isinstance(content, str) else json.dumps(content)) + "\n")
    desk.add("bob", 10, 200)
    desk.add("cleo", -10, 200)
    assert len(desk.wants()) == 1 and len(desk.wants()) == 1
    assert len(desk.said) == len(wrong)
    for i, (said, problem) in enumerate(zip(desk.said, wrong, strict=True)):
        assert said.startswith(f"{desk.path}:{i + 1}: ") and problem in said


def test_an_order_keeps_its_age(desk: Desk) -> None:
    desk.add("ann", -10, 200)
    line = desk.path.read_text()
    desk.add("bob", -10, 200)
    desk.write(line)
    desk.add("dan", 10, 200)
    assert desk.wants() == [(get_trader_account("ann"), get_trader_account("dan"), 10, 200)]


def test_another_form_of_a_signature_is_none(desk: Desk) -> None:
    order, _ = desk.world.sign_order_at_mark("ann", 10)
    world = desk.world.run.session.model.world
    digest = order_digest(order, world.chain_id, desk.world.run.at["MarginOrders"])
    desk.write(format_order(order, sign_digest(derive_trader_key("ann"), digest, low=False)) + "\n")
    assert desk.wants() == [] and "has not signed it" in desk.said[0]


def test_a_line_counts_once_it_is_whole_and_once_only(desk: Desk) -> None:
    desk.add("ann", -10, 200)
    order, signature = desk.world.sign_order_at_mark("bob", 10)
    line = format_order(order, signature) + "\n"
    desk.write(line[:100])
    assert desk.wants() == [] and desk.said == []
    desk.write(line[100:] + line)
    assert len(desk.wants()) == 1
    assert desk.match() == [None]
    # A file that was begun anew is read anew.
    desk.path.write_text("")
    assert desk.wants() == []
    desk.add("cleo", -10, 200)
    desk.add("dan", 10, 200)
    assert len(desk.wants()) == 1 and desk.said == []
