"""Shares of product and sums against exact fractions: never more, and less by a bound that is known.

Exactly, an offset of debt D multiplies a member's coins v by (T - D)/T, and collateral or income A gives
v * A/T. Ours has u coins before its last rounding, with u = v * P/P0 of the coins at the last settlement. A
settlement is a deposit, a withdrawal or a claim: a member's balance is rounded down and recorded.

An offset rounds P down by less than one, and P is 10**27 at least afterwards: it takes less than u/10**27 wei
of u. A share rounds a sum down by less than one, which is u/P wei, less than u/10**27. With b the wei that u
is less than v by at most, and g those that the gains are:

    offset         b becomes b * (T - D)/T + v/10**27, v of afterwards
    share          g becomes g + b * A/T + v/10**27
                   where three scales or more have passed, g + v * A/T: the stake counts no such sum; v is at
                   most b and 10**-18 of the coins of the last settlement then
    settlement     b becomes b + 1; g becomes g + 1, and 2 * 10**-27 of the coins of the last one more for the
                   sums of the two later scales, rounded down

So each settlement costs a member a wei, and each offset a part in 10**27 of coins and of the gains to come.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from random import Random

import pytest

from backstop.contract_base import World
from backstop.model import product_sum
from backstop.model.product_sum import (
    LEAST_COINS,
    MAX_COINS,
    MAX_SCALES,
    STEP,
    SUM_SCALES,
    ProductSum,
    StakeBalance,
    State,
)

PART = 10**27
"""Bounds are in wei of which each has so many parts, rounded up."""
MEMBERS = range(1, 9)
KINDS = ("deposit", "offset", "drain", "collateral", "income", "withdraw", "leave", "claim")
CALM = (6, 3, 1, 3, 3, 2, 1, 2)
DRAINED = (8, 1, 8, 2, 2, 1, 1, 1)
"""How often each kind of operation is drawn; in a drained history deposits are large."""


class ExactMember:
    """A member's balance in exact fractions, the recorded gains, and the bound of their shortfall."""

    def __init__(self) -> None:
        self.coins = Fraction()
        self.gains = [Fraction(), Fraction()]  # collateral and income, all that there ever was
        self.noted = [0, 0]  # of them, at settlements
        self.coins_bound = 0  # b, parts of a wei
        self.gains_bounds = [0, 0]  # g
        self.settled = 0  # coins at the last settlement, rounded up
        self.scale = 0  # of it

    def count_parts(self, amount: Fraction | int) -> int:
        """Return an amount of wei in parts, rounded up."""
        return -(-amount * PART // 1)


class ComparedHistory:
    """A random history on the model's product and sums, and on exact fractions."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.is_drained = random.random() < 0.5
        self.ours = ProductSum(World(0, 1), "Shares", "0x" + "11" * 20)
        self.ours._initialize_product_sum()
        self.state: State = self.ours.product_state[()]
        self.members = {member: ExactMember() for member in MEMBERS}
        self.shared = [0, 0]
        self.seen: Counter[str] = Counter()

    def play(self, operations: int) -> None:
        """Play so many operations, and compare all members after each."""
        for _ in range(operations):
            weights = DRAINED if self.is_drained else CALM
            self.apply_operation(self.random.choices(KINDS, weights)[0])
            self.check_members()

    def draw_amount(self, least_digits: int = 0) -> int:
        """Return 1 to 10**27 wei, any power of ten as often as another."""
        return self.random.randint(1, 10 ** self.random.randint(least_digits, 27))

    def apply_operation(self, kind: str) -> None:
        member, amount = self.random.choice(MEMBERS), self.draw_amount()
        if kind == "deposit" and self.is_drained:
            amount = self.draw_amount(25)
        room = self.state.offset_room
        if kind == "deposit":
            self.settle_member(member, amount if self.state.coins + amount <= MAX_COINS else 0)
        elif kind == "claim":
            self.settle_member(member, 0)
        elif kind in ("withdraw", "leave"):
            has = self.find_balance(member).coins
            self.settle_member(member, -min(has, room, amount if kind == "withdraw" else has))
        elif kind in ("collateral", "income") and self.state.coins >= LEAST_COINS:
            self.share_amount(kind == "income", amount)
        elif room and kind in ("offset", "drain"):
            self.share_amount(False, amount)
            self.offset_debt(min(amount, room) if kind == "offset" else room)
        else:
            return
        self.seen[kind] += 1

    def find_balance(self, member: int) -> StakeBalance:
        coins = self.ours.stakes[member].coins
        return self.ours._compute_stake_balance(self.state, member, coins)

    def settle_member(self, member: int, change: int) -> None:
        exact, balance = self.members[member], self.find_balance(member)
        exact.coins += change
        exact.coins_bound += PART
        exact.noted = [a + b for a, b in zip(exact.noted, balance[1:], strict=True)]
        exact.gains_bounds = [bound + PART + 2 * exact.settled for bound in exact.gains_bounds]
        exact.settled, exact.scale = -(-exact.coins // 1), self.state.scale
        self.state = self.state._replace(coins=self.state.coins + change)
        self.ours._mark_stake(self.state, member, balance.coins + change)

    def share_amount(self, is_income: bool, amount: int) -> None:
        share = self.ours._share_out_income if is_income else self.ours._add_collateral
        share(self.state, amount)
        self.shared[is_income] += amount
        rate = Fraction(amount, self.state.coins)
        for exact in self.members.values():
            gain = exact.coins * rate
            exact.gains[is_income] += gain
            if self.state.scale - exact.scale <= SUM_SCALES:
                lost = -(-exact.coins_bound * rate // 1) + -(-exact.coins // 1)
            else:
                lost = exact.count_parts(gain)
                least = exact.coins_bound + exact.settled * PART // STEP**SUM_SCALES
                assert exact.count_parts(exact.coins) <= least + 1
                self.seen["a sum that a stake does not count"] += exact.coins > 0
            exact.gains_bounds[is_income] += lost

    def offset_debt(self, debt: int) -> None:
        rate = Fraction(self.state.coins - debt, self.state.coins)
        self.state = self.state.offset_debt(debt)
        for exact in self.members.values():
            exact.coins *= rate
            exact.coins_bound = -(-exact.coins_bound * rate // 1) + -(-exact.coins // 1)
            has_ended = exact.settled and self.state.scale - exact.scale > MAX_SCALES
            self.seen["a stake that is too old"] += bool(has_ended)

    def check_members(self) -> None:
        """Each balance is within its exact value and the bound below; all balances are within the pool's."""
        in_all = [0, 0, 0]
        for member, exact in self.members.items():
            balance = self.find_balance(member)
            found = balance.coins, *(a + b for a, b in zip(exact.noted, balance[1:], strict=True))
            bounds = exact.coins_bound, *(bound + 2 * exact.settled for bound in exact.gains_bounds)
            for ours, exactly, bound in zip(found, (exact.coins, *exact.gains), bounds, strict=True):
                assert ours <= exactly
                assert (exactly - ours) * PART <= bound + PART
            in_all = [a + b for a, b in zip(in_all, found, strict=True)]
        assert sum(exact.coins for exact in self.members.values()) == self.state.coins
        assert all(a <= b for a, b in zip(in_all, (self.state.coins, *self.shared), strict=True))


def play_histories(histories: int) -> Counter[str]:
    """Play so many, and return how often each kind of operation came, and how many scales."""
    seen: Counter[str] = Counter()
    for number in range(histories):
        history = ComparedHistory(Random(f"shares {number}"))
        history.play(40)
        seen += history.seen
        seen["a scale"] += history.state.scale
    return seen


def test_random_histories_come_to_exact_shares(histories=100):
    seen = play_histories(histories)
    assert all(seen[kind] > histories for kind in (*KINDS, "a scale", "a sum that a stake does not count"))


@pytest.mark.deep(
    brief="tests/contracts/StabilityPool/test_exact_shares.py::test_random_histories_come_to_exact_shares"
)
def test_10_000_random_histories_come_to_exact_shares():
    test_random_histories_come_to_exact_shares(10_000)


def test_a_stake_of_nine_scales_ago_has_lost_less_than_a_wei():
    history = ComparedHistory(Random(0))
    history.settle_member(1, MAX_COINS // 2)
    while history.state.scale <= MAX_SCALES:
        history.settle_member(2, MAX_COINS // 2)
        history.share_amount(False, 10**27)
        history.share_amount(True, 10**27)
        history.offset_debt(history.state.offset_room)
        history.check_members()
    assert history.seen["a stake that is too old"] == 1
    assert history.find_balance(1).coins == 0 < history.members[1].coins < 1


def offset_too_little(state: State, debt: int, offset=State.offset_debt) -> State:
    """A product that is too large in its last nine digits; of one unit more only vectors would tell."""
    left = offset(state, debt)
    return left._replace(product=left.product + 10**9)


@pytest.mark.parametrize(
    ("owner", "name", "changed"),
    [
        (State, "offset_debt", offset_too_little),
        (product_sum, "LEAST_PRODUCT", 10**26),
        (product_sum, "SUM_SCALES", 1),
        (product_sum, "MAX_SCALES", 2),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_rule_is_noticed(monkeypatch, owner, name, changed):
    monkeypatch.setattr(owner, name, changed)
    with pytest.raises(AssertionError):
        play_histories(100)
