"""Properties of futures of the margin market: of equal accounts, of orders of calls, of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.model.arithmetic import MAX_UINT256, RAY
from backstop.model.margin_orders import Order
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    BASIS_POINTS,
    MARKET,
    MARKETS,
    ORDERS,
    POLICY,
    TRADING,
)
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import PropertyViolationError, counterfactual_property
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    apply_or_raise,
    attempt_call_and_get_outcome,
    collect_tokens_from_holders,
    get_contract,
)

TWIN, _SECOND_SELF, _OTHER, COUNTER = "twin", "second self", "other twin", "counter"
_TAKER = "taker"
_DEBTORS = ("debtor", "other debtor", "third debtor")
_MOST_ROUNDS = 12


@dataclass
class WhatIfMarket:
    """Perpetual market in a trial on model and chain, with helpers for orders, marks and cycle ends."""

    both: LockstepLike
    m: int
    lots: int
    rolls: int = 0
    nonces: count[int] = field(default_factory=lambda: count(1))

    @property
    def market(self) -> Any:
        return get_contract(self.both, MARKET)

    @property
    def price(self) -> int:
        return int(self.market.paths[self.m].price)

    def set_mark(self, market_id: int, price: int) -> bool:
        """Report a lot price [wei] by all reporters and update the mark; return whether they are equal."""
        feed, base = (
            get_contract(self.both, "PriceFeed"),
            get_contract(self.both, POLICY).underlyings[market_id],
        )
        said = -(-price * RAY // base.lot)
        for reporter in feed.reporters_of(VISITOR, base.feed):
            if reporter not in self.both.model.world.addresses:
                attempt_call_and_get_outcome(
                    self.both, "PriceFeed", "report_range", base.feed, said, said, said, 0, by=reporter
                )
        apply_or_raise(self.both, MARKET, "accrue", market_id, by=VISITOR)
        return bool(self.market.paths[market_id].price == price)

    def refresh_marks(self) -> None:
        """Report the present mark of each market again, so that all marks are current."""
        for m in MARKETS:
            if self.market.paths[m].price:
                self.set_mark(m, int(self.market.paths[m].price))

    def fill_order(self, maker: str, taker: str, lots: int, price: int | None = None) -> bool:
        """Fill an order between two traders, and return whether the call succeeded.

        The maker buys `lots`, or sells if it is negative. The price defaults to the mark.
        """
        at, nonce, orders = price or self.price, next(self.nonces), get_contract(self.both, ORDERS).address
        args: list[object] = []
        for name, size in ((maker, lots), (taker, -lots)):
            order = Order(get_trader_account(name), self.m, size, at, MAX_UINT256, nonce)
            args += [order, sign_order(name, order, self.both.model.world.chain_id, orders)]
        return attempt_call_and_get_outcome(self.both, ORDERS, "fill", *args, abs(lots), by=VISITOR).ok

    def seize_insolvent_until_stable(
        self, arrange_accounts: Callable[[list[str]], Sequence[str]] = list
    ) -> bool:
        """Seize insolvent accounts one by one until no call succeeds.

        Returns False if that needs more than 12 rounds. `arrange_accounts` sets the order.
        """
        everyone = sorted(self.market.accounts)
        for _ in range(_MOST_ROUNDS):
            met = [
                attempt_call_and_get_outcome(self.both, MARKET, "seize_insolvent", each, by=VISITOR).ok
                for each in arrange_accounts(everyone)
            ]
            if not any(met):
                return True
        return False

    def seize_batches_until_stable(
        self, arrange_accounts: Callable[[list[str]], Sequence[str]] = list
    ) -> bool:
        """Update and seize all accounts in two batches until nothing changes.

        Returns False if that needs more than 12 rounds. `arrange_accounts` sets the order.
        """
        everyone = arrange_accounts(sorted(self.market.accounts))
        size = -(-len(everyone) // 2)
        for _ in range(_MOST_ROUNDS):
            some = [tuple(everyone[start : start + size]) for start in range(0, len(everyone), size)]
            if not sum(
                apply_or_raise(self.both, MARKET, "update_and_seize", each, by=VISITOR) for each in some
            ):
                return True
        return False

    def update_all_accounts(self) -> None:
        """Settle the ended cycles of all accounts."""
        for owner in sorted(self.market.accounts):
            apply_or_raise(self.both, MARKET, "update_account", owner, by=VISITOR)

    def take_over_unassigned_lots(self) -> bool:
        """Let a separate taker take over all lots of seized accounts; return whether none are left."""
        left = abs(self.market.lots[self.m].long - self.market.lots[self.m].short)
        return (
            not left
            or attempt_call_and_get_outcome(
                self.both, TRADING, "take", self.m, left, by=get_trader_account(_TAKER)
            ).ok
        )

    def roll_cycle(self) -> None:
        """Wait for four windows, the longest duration of a cycle, and end the cycle."""
        clock = self.market.clocks[()]
        self.both.advance(max(0, clock.rolled_at + 4 * self.market.window - self.both.timestamp))
        apply_or_raise(self.both, MARKET, "advance_cycle", by=VISITOR)
        self.rolls += 1

    def sum_named_accounts_equity(self, *names: str) -> int:
        """Update the named traders' accounts, and return their equity plus bonds, summed [wei]."""
        found = 0
        for name in names:
            apply_or_raise(self.both, MARKET, "update_account", get_trader_account(name), by=VISITOR)
            found += self.compute_equity_with_bonds(get_trader_account(name))
        return found

    def compute_equity_with_bonds(self, owner: str) -> int:
        """Return an up-to-date account's equity after haircuts, plus its bonds [wei]."""
        standing = self.both.view(MARKET, "standing_of", owner)
        bond = self.market.third_bond * self.market.accounts[owner].bond.bit_count()
        return int(standing.own - standing.haircut + bond)


def open_funded_what_if_market(lockstep: LockstepLike, random: Random) -> WhatIfMarket | None:
    """Return a random market for a trial, with current marks and funded trader accounts.

    Returns None if no market can be traded or the money is missing.
    """
    if MARKET not in lockstep.model.world.contracts:
        return None
    policy = get_contract(lockstep, POLICY)
    stage = WhatIfMarket(lockstep, random.randrange(policy.count[()]), 0)
    if get_contract(lockstep, MARKET).closing[()] or policy.underlyings[stage.m].ends_at:
        return None
    base, terms = policy.underlyings[stage.m], policy.terms[stage.m]
    if base.insured:
        # How much more may be opened is another question, which property 132 has.
        return None
    price = stage.price or get_contract(lockstep, "PriceFeed").prices[base.feed].current * base.lot // RAY
    if not price or not stage.set_mark(stage.m, price):
        return None
    stage.refresh_marks()
    people = get_contract(lockstep, "Stablecoin").balances.items()
    money = sum(held for who, held in people if who not in lockstep.model.world.addresses)
    amount = money // random.choice((30, 1_000))
    # Twins never fail: their price may double.
    stage.lots = min(amount // price // 3, (base.open_limit - max(stage.market.lots[stage.m])) // 8)
    if stage.lots <= 0 or not collect_tokens_from_holders(lockstep, VISITOR, 20 * amount):
        return None
    apply_or_raise(lockstep, "Stablecoin", "approve", stage.market.address, MAX_UINT256, by=VISITOR)
    for name in (TWIN, _SECOND_SELF, _OTHER):
        apply_or_raise(lockstep, MARKET, "deposit", get_trader_account(name), amount, by=VISITOR)
    apply_or_raise(lockstep, MARKET, "deposit", get_trader_account(COUNTER), 5 * amount, by=VISITOR)
    apply_or_raise(lockstep, MARKET, "deposit", get_trader_account(_TAKER), 8 * amount, by=VISITOR)
    fees = max(get_contract(lockstep, TRADING).maker_fee, get_contract(lockstep, TRADING).taker_fee)
    notional = stage.lots * price
    rates = terms.initial + terms.account_rate_1 + terms.account_rate_2 + terms.market_rate_1
    needed = notional * (rates + terms.market_rate_2 + fees) // BASIS_POINTS + 3 * stage.market.third_bond + 2
    for name in _DEBTORS:
        if needed < amount:
            apply_or_raise(lockstep, MARKET, "deposit", get_trader_account(name), needed, by=VISITOR)
    return stage


def jump_mark(stage: WhatIfMarket, random: Random, against: int) -> bool:
    """Let the mark jump against the longs (`against` > 0) or the shorts; return whether it did.

    It falls by 5% to 60%, or rises by 5% to 90%.
    """
    change = random.randint(500, 6_000) if against > 0 else -random.randint(500, 9_000)
    return stage.set_mark(stage.m, max(1, stage.price * (BASIS_POINTS - change) // BASIS_POINTS))


@counterfactual_property(97)
def self_trades_and_touches_gain_nothing(lockstep: LockstepLike, random: Random) -> bool:
    """Check that a holder gains nothing by trades with itself and extra updates (property 97).

    Of two equal holders one trades with itself, withdraws and is updated. It must not end with more than the
    other, apart from fees. If it only passes its position on to itself, it must not end with less. The
    tolerance is 1 wei for each cycle, account, side and action. While lots of seized accounts have no owner,
    it only passes its position on. Returns False if the trial is not possible. Raises PropertyViolationError
    otherwise.
    """
    with lockstep.fork_state():
        stage = open_funded_what_if_market(lockstep, random)
        if stage is None:
            return False
        side = random.choice((1, -1))
        for debtor, twin in zip(_DEBTORS, (TWIN, _OTHER), strict=False):
            if not stage.fill_order(debtor, twin, side * stage.lots):
                return False
        begun = stage.sum_named_accounts_equity(TWIN, _SECOND_SELF), stage.sum_named_accounts_equity(_OTHER)
        if not jump_mark(stage, random, side):
            return False
        kinds, relieved = ["pass on", "pass on", "out", "update_account", "time"], random.random() < 0.5
        if relieved:
            kinds += ["there and back", "both sides"]
            if not stage.take_over_unassigned_lots():
                return False
        cost, alike, moves = 0, True, 0
        for _ in range(random.randint(2, 8)):
            kind = random.choice(kinds)
            if kind == "time":
                stage.refresh_marks()
                stage.seize_insolvent_until_stable()
                if relieved and not stage.take_over_unassigned_lots():
                    return False
                stage.roll_cycle()
                stage.refresh_marks()
                if random.random() < 0.3:
                    jump_mark(stage, random, random.choice((1, -1)))
                continue
            # Fees, and what leaves; what a shortage keeps of that is gone.
            cost += stage.sum_named_accounts_equity(TWIN, _SECOND_SELF) - _act_and_measure_shortage_loss(
                stage, random, kind, -side
            )
            cost -= stage.sum_named_accounts_equity(TWIN, _SECOND_SELF)
            alike &= kind in ("pass on", "update_account")
            moves += 1
        stage.refresh_marks()
        ended = True
        for roll in range(3):
            ended &= stage.seize_insolvent_until_stable()
            if relieved and not stage.take_over_unassigned_lots():
                return False
            if roll < 2:
                stage.roll_cycle()
                stage.refresh_marks()
        gained = (
            stage.sum_named_accounts_equity(TWIN, _SECOND_SELF) + cost - begun[0],
            stage.sum_named_accounts_equity(_OTHER) - begun[1],
        )
        slack = 4 * (stage.rolls + 2) * (1 + moves)
    if ended and (gained[0] > gained[1] + slack or (alike and gained[0] < gained[1] - slack)):
        raise PropertyViolationError(
            f"of two equal holders the one that fidgets gains {gained[0]}, the other {gained[1]}"
        )
    return True


def _act_and_measure_shortage_loss(stage: WhatIfMarket, random: Random, action_kind: str, side: int) -> int:
    """Let a trader act with itself, and return its loss from a cut withdrawal [wei].

    The result is 0 for all actions other than a withdrawal.
    """
    both, mine, other = stage.both, TWIN, _SECOND_SELF
    size = int(stage.market.positions[get_trader_account(mine), stage.m].size)
    part = random.randint(1, stage.lots)
    if action_kind == "update_account":
        apply_or_raise(both, MARKET, "update_account", get_trader_account(mine), by=VISITOR)
    elif action_kind == "pass on":
        # Lots of the side that it has go to its second self, or back.
        theirs = int(stage.market.positions[get_trader_account(other), stage.m].size)
        if size * side > 0:
            stage.fill_order(mine, other, -side * min(part, abs(size)))
        elif theirs * side > 0:
            stage.fill_order(mine, other, side * min(part, abs(theirs)))
    elif action_kind == "there and back":
        band = get_contract(both, TRADING).band
        for lots, off in ((part, random.randint(-band, band)), (-part, random.randint(-band, band))):
            stage.fill_order(mine, other, lots, max(1, stage.price * (BASIS_POINTS + off) // BASIS_POINTS))
    elif action_kind == "both sides":
        stage.fill_order(mine, other, random.choice((part, -part)))
    else:
        spare = both.view(MARKET, "standing_of", get_trader_account(mine))
        amount = (spare.own - spare.haircut - spare.unfinal) // random.randint(2, 10)
        if amount > 0:
            outcome = attempt_call_and_get_outcome(
                both, MARKET, "withdraw", amount, get_trader_account(mine), by=get_trader_account(mine)
            )
            return amount - int(outcome.value) if outcome.ok else 0
    return 0


@counterfactual_property(98)
def loss_booking_order_changes_no_balance(lockstep: LockstepLike, random: Random) -> bool:
    """Check that the order and batching of seizures changes no account's balance (property 98).

    The trial bankrupts several accounts and seizes them in three ways, on forks of model and chain. Rewards
    for booking grow with time in the same way in each. Returns False if the trial is not possible. Raises
    PropertyViolationError if an account differs by a wei.
    """
    with lockstep.fork_state():
        stage = open_funded_what_if_market(lockstep, random)
        if stage is None:
            return False
        for debtor, other in zip(_DEBTORS, (*_DEBTORS[1:], COUNTER), strict=True):
            # Gains of who fails himself, too.
            lots = random.choice((1, -1)) * stage.lots
            if not stage.fill_order(debtor, random.choice((TWIN, COUNTER, other)), lots):
                return False
        against = random.choice((1, -1))
        for _ in range(random.randint(1, 3)):
            if not jump_mark(stage, random, against):
                return False
            if random.random() < 0.7:
                # Who is taken out here owes; who gained by it may fail at the next leap, back.
                stage.seize_insolvent_until_stable()
                stage.take_over_unassigned_lots()
            against = -against
        stage.roll_cycle()
        lockstep.advance(random.randrange(stage.market.window))
        stage.refresh_marks()
        ends: list[dict[str, int]] = []

        def mix(everyone: list[str]) -> list[str]:
            return random.sample(everyone, len(everyone))

        for meets, order in (
            (stage.seize_insolvent_until_stable, list),
            (stage.seize_insolvent_until_stable, mix),
            (stage.seize_batches_until_stable, mix),
        ):
            with lockstep.fork_state():
                if not meets(order):
                    return False
                # Some calls bring who has nothing to meet up to date; who sleeps bears a wei more.
                stage.update_all_accounts()
                for _ in range(2):
                    stage.roll_cycle()
                stage.update_all_accounts()
                ends.append(
                    {owner: stage.compute_equity_with_bonds(owner) for owner in sorted(stage.market.accounts)}
                )
    for found in ends[1:]:
        if wrong := {who: (had, found.get(who)) for who, had in ends[0].items() if had != found.get(who)}:
            raise PropertyViolationError(f"in two orders of bookings some end with {wrong}")
    return True


@counterfactual_property(99)
def withdrawal_order_changes_no_payout(lockstep: LockstepLike, random: Random) -> bool:
    """Check that two equal holders are paid the same in either order of withdrawals (property 99).

    A loss is seized too late for gains to pay it, and is still unpaid. The tolerance is 1 wei. Returns False
    if the trial is not possible. Raises PropertyViolationError otherwise.
    """
    with lockstep.fork_state():
        stage = open_funded_what_if_market(lockstep, random)
        if stage is None or not stage.fill_order(_DEBTORS[0], COUNTER, stage.lots):
            return False
        if not jump_mark(stage, random, 1):
            return False
        for _ in range(2):
            stage.roll_cycle()
        stage.refresh_marks()
        stage.seize_insolvent_until_stable()
        amount = stage.sum_named_accounts_equity(TWIN)
        if amount <= 0 or stage.sum_named_accounts_equity(_OTHER) != amount:
            return False
        got: list[dict[str, int]] = []
        for pair in ((TWIN, _OTHER), (_OTHER, TWIN)):
            with lockstep.fork_state():
                paid = {}
                for name in pair:
                    outcome = attempt_call_and_get_outcome(
                        lockstep,
                        MARKET,
                        "withdraw",
                        amount,
                        get_trader_account(name),
                        by=get_trader_account(name),
                    )
                    if not outcome.ok:
                        return False
                    paid[name] = int(outcome.value)
                got.append(paid)
    amounts = [paid for each in got for paid in each.values()]
    if max(amounts) > min(amounts) + 1:
        raise PropertyViolationError(f"two with the same got {got}")
    return True


@counterfactual_property(100)
def cycle_becomes_final_within_two_rolls(lockstep: LockstepLike, random: Random) -> bool:
    """Check that any account can end a cycle after four windows (property 100).

    Idle money can be withdrawn two cycle ends later. This holds with a halted feed, in an emergency and in
    settlement. Returns False without a margin market. Raises PropertyViolationError if a call is refused.
    """
    if MARKET not in lockstep.model.world.contracts:
        return False
    with lockstep.fork_state():
        market, feed = get_contract(lockstep, MARKET), get_contract(lockstep, "PriceFeed")
        stage = WhatIfMarket(lockstep, 0, 0)
        if random.random() < 0.5:
            for m in range(get_contract(lockstep, POLICY).count[()]):
                c = get_contract(lockstep, POLICY).underlyings[m].feed
                if feed.configs[c].reporters and not feed.configs[c].halted:
                    apply_or_raise(lockstep, "PriceFeed", "set_halted", c, True, by=feed.admins[()])
        for _ in range(2):
            stage.roll_cycle()
        for owner in sorted(market.accounts.keys() - lockstep.model.world.addresses.keys()):
            apply_or_raise(lockstep, MARKET, "update_account", owner, by=VISITOR)
            standing = lockstep.view(MARKET, "standing_of", owner)
            amount = min(standing.own - standing.haircut, market.holdings[()] - market.fee_table[()])
            idle = not lockstep.view(MARKET, "holdings_of", owner)
            if idle and amount > 0 and (not market.closing[()] or _has_closing_ended(market)):
                apply_or_raise(lockstep, MARKET, "withdraw", amount, VISITOR, by=owner)
    return True


def _has_closing_ended(market: Any) -> bool:
    return bool(market.clocks[()].cycle >= market.closing[()] + 2)
