"""Properties of what would happen in the margin market: of acts in two parts, and of strangers' order."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from backstop.deployment.signing import sign_order, trader
from backstop.model.arithmetic import MAX_UINT256, RAY
from backstop.model.margin_orders import Order
from backstop.proof.properties.both import Both
from backstop.proof.properties.future import VISITOR, apply, contract_of, give, must, report
from backstop.proof.properties.registry import Violation, counterfactual_property

_LONGS, _SHORT, _TAKERS = ("long", "other long"), "short", ("taker", "other taker")


class _Scene(NamedTuple):
    """A market, what a lot costs in it, and lots of each long."""

    market: int
    price: int
    lots: int


@counterfactual_property(67)
def parts_gain_nothing(both: Both, random: Random) -> bool:
    """Assert that who trades, or takes a position over, in two parts has no more than in one, to 2 wei."""
    with both.imagine():
        scene = _open(both, random)
        if scene is None:
            return False
        cut = random.randint(1, scene.lots)
        parts = [lots for lots in (cut, scene.lots - cut) if lots]
        after = []
        for way in ([scene.lots], parts):
            with both.imagine():
                if not all(_fill(both, scene, _LONGS[0], lots) for lots in way):
                    return False
                after.append([_cash(both, name) for name in (_LONGS[0], _SHORT)])
        _compare(f"{scene.lots} lots traded in {parts}", *after)
        if not _fill(both, scene, _LONGS[0], scene.lots) or not _weaken(both, scene, random):
            return True
        lots = random.randint(1, scene.lots)
        cut = random.randint(1, lots)
        parts = [part for part in (cut, lots - cut) if part]
        after = []
        for way in ([lots], parts):
            with both.imagine():
                if not all(_take_over(both, scene, _LONGS[0], _TAKERS[0], part) for part in way):
                    return True
                after.append([_cash(both, _TAKERS[0])])
        _compare(f"{lots} lots taken over in {parts}", *after)
    return True


@counterfactual_property(68)
def the_order_of_liquidations_is_nothing(both: Both, random: Random) -> bool:
    """Assert that two positions taken over by two strangers leave all four alike, in whichever order."""
    with both.imagine():
        scene = _open(both, random)
        if scene is None or not all(_fill(both, scene, each, scene.lots) for each in _LONGS):
            return False
        if not _weaken(both, scene, random):
            return False
        lots = [random.randint(1, scene.lots) for _ in _LONGS]
        calls = list(zip(_LONGS, _TAKERS, lots, strict=True))
        after = []
        for way in (calls, calls[::-1]):
            with both.imagine():
                if not all(_take_over(both, scene, *call) for call in way):
                    return False
                after.append([_cash(both, name) for name in (*_LONGS, *_TAKERS)])
    if after[0] != after[1]:
        raise Violation(f"{calls} leave {after[0]}, in the other order {after[1]}")
    return True


def _compare(what: str, once: list[int], split: list[int]) -> None:
    if any(b > a + 2 for a, b in zip(once, split, strict=True)):
        raise Violation(f"{what} leave {split} of cash, {once} at once")


def _open(both: Both, random: Random) -> _Scene | None:
    """Have fresh accounts pay in for a market that lends; None if none does."""
    if "MarginMarket" not in both.model.world.contracts:
        return None
    market, policy = contract_of(both, "MarginMarket"), contract_of(both, "MarginPolicy")
    m = random.randrange(policy.count[()])
    base, terms = policy.underlyings[m], policy.terms[m]
    current = contract_of(both, "PriceFeed").prices[base.feed].current
    if not current or market.closing[()] or not report(both, base.feed, current):
        return None
    price = max(1, current * base.lot // RAY)
    people = [held for who, held in contract_of(both, "Stablecoin").balances.items() if _is_person(both, who)]
    amount = sum(people) // random.choice((10, 1_000))
    lots = min(amount * 9_000 // (terms.initial * price), base.open_limit - market.interests[m].open) // 2
    if lots <= 0 or not give(both, VISITOR, 9 * amount):
        return None
    must(both, "Stablecoin", "approve", market.address, MAX_UINT256, by=VISITOR)
    # Who sells to both, or takes over, has room for all of it.
    for name, times in ((_LONGS[0], 1), (_LONGS[1], 1), (_SHORT, 3), (_TAKERS[0], 2), (_TAKERS[1], 2)):
        must(both, "MarginMarket", "deposit", trader(name), times * amount, by=VISITOR)
    return _Scene(m, price, lots)


def _is_person(both: Both, who: str) -> bool:
    return who not in both.model.world.addresses


def _fill(both: Both, scene: _Scene, long: str, lots: int) -> bool:
    """Have a long buy of the short, at the last price; the same orders for all parts."""
    address = contract_of(both, "MarginOrders").address
    sides: list[object] = []
    for name, size in ((_SHORT, -scene.lots), (long, scene.lots)):
        nonce = _LONGS.index(long)
        order = Order(trader(name), scene.market, size, scene.price, MAX_UINT256, nonce)
        sides += [order, sign_order(name, order, both.model.world.chain_id, address)]
    return apply(both, "MarginOrders", "fill", *sides, lots, by=VISITOR).ok


def _weaken(both: Both, scene: _Scene, random: Random) -> bool:
    """Let the price fall until the longs are between their maintenance margin and nothing."""
    policy = contract_of(both, "MarginPolicy")
    base, terms = policy.underlyings[scene.market], policy.terms[scene.market]
    cash = _cash(both, _LONGS[0])
    bankrupt = -cash // scene.lots
    weak = bankrupt * 10_000 // (10_000 - terms.maintenance)
    price = bankrupt + (weak - bankrupt) * random.randint(1, 9) // 10
    return price > 0 and report(both, base.feed, -(-price * RAY // base.lot))


def _take_over(both: Both, scene: _Scene, owner: str, by: str, lots: int) -> bool:
    return apply(both, "MarginMarket", "liquidate", trader(owner), scene.market, lots, by=trader(by)).ok


def _cash(both: Both, name: str) -> int:
    return int(contract_of(both, "MarginMarket").accounts[trader(name)].cash)
