"""Properties of what would happen in the margin market: of equals, of orders of calls, of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from backstop.deployment.devnet_signing import get_trader_account, sign_order
from backstop.model.arithmetic import MAX_UINT256, RAY
from backstop.model.margin_orders import Order
from backstop.proof.properties.both import Both
from backstop.proof.properties.figures.cycles import BASIS_POINTS, DESK, MARKET, MARKETS, ORDERS, POLICY
from backstop.proof.properties.future import VISITOR, apply, contract_of, give, must
from backstop.proof.properties.registry import Violation, counterfactual_property

TWIN, _SECOND_SELF, _OTHER, COUNTER = "twin", "second self", "other twin", "counter"
_TAKER = "taker"
_DEBTORS = ("debtor", "other debtor", "third debtor")
_MOST_ROUNDS = 12


@dataclass
class Stage:
    """A market of a future: lots of each of its people, and the number of its next order."""

    both: Both
    m: int
    lots: int
    rolls: int = 0
    nonces: count[int] = field(default_factory=lambda: count(1))

    @property
    def market(self) -> Any:
        return contract_of(self.both, MARKET)

    @property
    def price(self) -> int:
        return int(self.market.paths[self.m].price)

    def mark(self, m: int, price: int) -> bool:
        """Have all reporters say what makes a mark, and the market marked; return whether it is."""
        feed, base = contract_of(self.both, "PriceFeed"), contract_of(self.both, POLICY).underlyings[m]
        said = -(-price * RAY // base.lot)
        for reporter in feed.reporters_of(VISITOR, base.feed):
            if reporter not in self.both.model.world.addresses:
                apply(self.both, "PriceFeed", "report_range", base.feed, said, said, said, 0, by=reporter)
        must(self.both, MARKET, "accrue", m, by=VISITOR)
        return bool(self.market.paths[m].price == price)

    def refresh(self) -> None:
        """Have all marks be of now, as they are."""
        for m in MARKETS:
            if self.market.paths[m].price:
                self.mark(m, int(self.market.paths[m].price))

    def fill(self, maker: str, taker: str, lots: int, price: int | None = None) -> bool:
        """Have the maker buy lots (sell, under zero) of the taker, at the mark; return whether it went."""
        at, nonce, orders = price or self.price, next(self.nonces), contract_of(self.both, ORDERS).address
        args: list[object] = []
        for name, size in ((maker, lots), (taker, -lots)):
            order = Order(get_trader_account(name), self.m, size, at, MAX_UINT256, nonce)
            args += [order, sign_order(name, order, self.both.model.world.chain_id, orders)]
        return apply(self.both, ORDERS, "fill", *args, abs(lots), by=VISITOR).ok

    def meet_all(self, order: Callable[[list[str]], Sequence[str]] = list) -> bool:
        """Meet everybody, in an order, until nothing changes; return whether that ends."""
        everyone = sorted(self.market.accounts)
        for _ in range(_MOST_ROUNDS):
            met = [apply(self.both, MARKET, "meet", each, by=VISITOR).ok for each in order(everyone)]
            if not any(met):
                return True
        return False

    def meet_together(self, order: Callable[[list[str]], Sequence[str]] = list) -> bool:
        """Meet everybody in calls of some, in an order, until nothing changes; return whether that ends."""
        everyone = order(sorted(self.market.accounts))
        size = -(-len(everyone) // 2)
        for _ in range(_MOST_ROUNDS):
            some = [tuple(everyone[start : start + size]) for start in range(0, len(everyone), size)]
            if not sum(must(self.both, MARKET, "meet_all", each, by=VISITOR) for each in some):
                return True
        return False

    def wake_all(self) -> None:
        """Settle the past cycles of all accounts."""
        for owner in sorted(self.market.accounts):
            must(self.both, MARKET, "wake", owner, by=VISITOR)

    def relieve(self) -> bool:
        """Have somebody take all lots over that are nobody's; return whether none are left."""
        left = abs(self.market.lots[self.m].long - self.market.lots[self.m].short)
        return not left or apply(self.both, DESK, "take", self.m, left, by=get_trader_account(_TAKER)).ok

    def roll(self) -> None:
        """Wait for as long as a window may be, and roll."""
        clock = self.market.clocks[()]
        self.both.advance(max(0, clock.rolled_at + 4 * self.market.window - self.both.timestamp))
        must(self.both, MARKET, "roll", by=VISITOR)
        self.rolls += 1

    def wealth(self, *names: str) -> int:
        """Return what accounts have less haircuts, bonds with it, once they are up to date [wei]."""
        found = 0
        for name in names:
            must(self.both, MARKET, "wake", get_trader_account(name), by=VISITOR)
            found += self.wealth_of(get_trader_account(name))
        return found

    def wealth_of(self, owner: str) -> int:
        """Return the same of an address that is up to date."""
        standing = self.both.view(MARKET, "standing_of", owner)
        bond = self.market.third_bond * self.market.accounts[owner].bond.bit_count()
        return int(standing.own - standing.haircut + bond)


def open_stage(both: Both, random: Random) -> Stage | None:
    """Have fresh accounts pay in for a market that may be traded, with marks of now; None if none may."""
    if MARKET not in both.model.world.contracts:
        return None
    policy = contract_of(both, POLICY)
    stage = Stage(both, random.randrange(policy.count[()]), 0)
    if contract_of(both, MARKET).closing[()] or policy.underlyings[stage.m].ends_at:
        return None
    base, terms = policy.underlyings[stage.m], policy.terms[stage.m]
    if base.insured:
        # How much more may be opened is another question, which property 132 has.
        return None
    price = stage.price or contract_of(both, "PriceFeed").prices[base.feed].current * base.lot // RAY
    if not price or not stage.mark(stage.m, price):
        return None
    stage.refresh()
    people = contract_of(both, "Stablecoin").balances.items()
    money = sum(held for who, held in people if who not in both.model.world.addresses)
    amount = money // random.choice((30, 1_000))
    # Twins never fail: their price may double.
    stage.lots = min(amount // price // 3, (base.open_limit - max(stage.market.lots[stage.m])) // 8)
    if stage.lots <= 0 or not give(both, VISITOR, 20 * amount):
        return None
    must(both, "Stablecoin", "approve", stage.market.address, MAX_UINT256, by=VISITOR)
    for name in (TWIN, _SECOND_SELF, _OTHER):
        must(both, MARKET, "deposit", get_trader_account(name), amount, by=VISITOR)
    must(both, MARKET, "deposit", get_trader_account(COUNTER), 5 * amount, by=VISITOR)
    must(both, MARKET, "deposit", get_trader_account(_TAKER), 8 * amount, by=VISITOR)
    fees = max(contract_of(both, DESK).maker_fee, contract_of(both, DESK).taker_fee)
    notional = stage.lots * price
    rates = terms.initial + terms.account_rate_1 + terms.account_rate_2 + terms.market_rate_1
    needed = notional * (rates + terms.market_rate_2 + fees) // BASIS_POINTS + 3 * stage.market.third_bond + 2
    for name in _DEBTORS:
        if needed < amount:
            must(both, MARKET, "deposit", get_trader_account(name), needed, by=VISITOR)
    return stage


def leap(stage: Stage, random: Random, against: int) -> bool:
    """Have the mark leap against the longs, or the shorts; by so much that a thin margin is gone."""
    change = random.randint(500, 6_000) if against > 0 else -random.randint(500, 9_000)
    return stage.mark(stage.m, max(1, stage.price * (BASIS_POINTS - change) // BASIS_POINTS))


@counterfactual_property(97)
def who_fidgets_ends_as_who_holds(both: Both, random: Random) -> bool:
    """Assert that of two equal holders the one that does whatever it likes afterwards has no more.

    It trades with itself, at the mark and off it, on both sides, takes cash out, is woken. Where it only
    passes its position on to itself it has no less; beside fees, and a wei a cycle, account and side. While
    lots are nobody's both sides together are a risk: then it only passes on, or somebody takes them at once.
    """
    with both.fork_state():
        stage = open_stage(both, random)
        if stage is None:
            return False
        side = random.choice((1, -1))
        for debtor, twin in zip(_DEBTORS, (TWIN, _OTHER), strict=False):
            if not stage.fill(debtor, twin, side * stage.lots):
                return False
        begun = stage.wealth(TWIN, _SECOND_SELF), stage.wealth(_OTHER)
        if not leap(stage, random, side):
            return False
        kinds, relieved = ["pass on", "pass on", "out", "wake", "time"], random.random() < 0.5
        if relieved:
            kinds += ["there and back", "both sides"]
            if not stage.relieve():
                return False
        cost, alike, moves = 0, True, 0
        for _ in range(random.randint(2, 8)):
            kind = random.choice(kinds)
            if kind == "time":
                stage.refresh()
                stage.meet_all()
                if relieved and not stage.relieve():
                    return False
                stage.roll()
                stage.refresh()
                if random.random() < 0.3:
                    leap(stage, random, random.choice((1, -1)))
                continue
            # Fees, and what leaves; what a shortage keeps of that is gone.
            cost += stage.wealth(TWIN, _SECOND_SELF) - _fidget(stage, random, kind, -side)
            cost -= stage.wealth(TWIN, _SECOND_SELF)
            alike &= kind in ("pass on", "wake")
            moves += 1
        stage.refresh()
        ended = True
        for roll in range(3):
            ended &= stage.meet_all()
            if relieved and not stage.relieve():
                return False
            if roll < 2:
                stage.roll()
                stage.refresh()
        gained = stage.wealth(TWIN, _SECOND_SELF) + cost - begun[0], stage.wealth(_OTHER) - begun[1]
        slack = 4 * (stage.rolls + 2) * (1 + moves)
    if ended and (gained[0] > gained[1] + slack or (alike and gained[0] < gained[1] - slack)):
        raise Violation(f"of two equal holders the one that fidgets gains {gained[0]}, the other {gained[1]}")
    return True


def _fidget(stage: Stage, random: Random, kind: str, side: int) -> int:
    """Have a twin do something with itself, if it may; return what it loses to a shortage."""
    both, mine, other = stage.both, TWIN, _SECOND_SELF
    size = int(stage.market.positions[get_trader_account(mine), stage.m].size)
    part = random.randint(1, stage.lots)
    if kind == "wake":
        must(both, MARKET, "wake", get_trader_account(mine), by=VISITOR)
    elif kind == "pass on":
        # Lots of the side that it has go to its second self, or back.
        theirs = int(stage.market.positions[get_trader_account(other), stage.m].size)
        if size * side > 0:
            stage.fill(mine, other, -side * min(part, abs(size)))
        elif theirs * side > 0:
            stage.fill(mine, other, side * min(part, abs(theirs)))
    elif kind == "there and back":
        band = contract_of(both, DESK).band
        for lots, off in ((part, random.randint(-band, band)), (-part, random.randint(-band, band))):
            stage.fill(mine, other, lots, max(1, stage.price * (BASIS_POINTS + off) // BASIS_POINTS))
    elif kind == "both sides":
        stage.fill(mine, other, random.choice((part, -part)))
    else:
        spare = both.view(MARKET, "standing_of", get_trader_account(mine))
        amount = (spare.own - spare.haircut - spare.unfinal) // random.randint(2, 10)
        if amount > 0:
            outcome = apply(
                both, MARKET, "withdraw", amount, get_trader_account(mine), by=get_trader_account(mine)
            )
            return amount - int(outcome.value) if outcome.ok else 0
    return 0


@counterfactual_property(98)
def the_order_of_bookings_is_nothing(both: Both, random: Random) -> bool:
    """Assert that every account ends equal to the wei, in any order and batching of the seizures.

    Bookings pay whoever makes them, the more the longer the cycle has been pending.
    """
    with both.fork_state():
        stage = open_stage(both, random)
        if stage is None:
            return False
        for debtor, other in zip(_DEBTORS, (*_DEBTORS[1:], COUNTER), strict=True):
            # Gains of who fails himself, too.
            lots = random.choice((1, -1)) * stage.lots
            if not stage.fill(debtor, random.choice((TWIN, COUNTER, other)), lots):
                return False
        against = random.choice((1, -1))
        for _ in range(random.randint(1, 3)):
            if not leap(stage, random, against):
                return False
            if random.random() < 0.7:
                # Who is taken out here owes; who gained by it may fail at the next leap, back.
                stage.meet_all()
                stage.relieve()
            against = -against
        stage.roll()
        both.advance(random.randrange(stage.market.window))
        stage.refresh()
        ends: list[dict[str, int]] = []

        def mix(everyone: list[str]) -> list[str]:
            return random.sample(everyone, len(everyone))

        for meets, order in ((stage.meet_all, list), (stage.meet_all, mix), (stage.meet_together, mix)):
            with both.fork_state():
                if not meets(order):
                    return False
                # Some calls bring who has nothing to meet up to date; who sleeps bears a wei more.
                stage.wake_all()
                for _ in range(2):
                    stage.roll()
                stage.wake_all()
                ends.append({owner: stage.wealth_of(owner) for owner in sorted(stage.market.accounts)})
    for found in ends[1:]:
        if wrong := {who: (had, found.get(who)) for who, had in ends[0].items() if had != found.get(who)}:
            raise Violation(f"in two orders of bookings some end with {wrong}")
    return True


@counterfactual_property(99)
def the_first_and_the_last_are_paid_alike(both: Both, random: Random) -> bool:
    """Assert that of two who have the same each is paid the same to a wei, whoever goes first.

    Whatever nobody has paid of a loss that was met too late for any gain.
    """
    with both.fork_state():
        stage = open_stage(both, random)
        if stage is None or not stage.fill(_DEBTORS[0], COUNTER, stage.lots):
            return False
        if not leap(stage, random, 1):
            return False
        for _ in range(2):
            stage.roll()
        stage.refresh()
        stage.meet_all()
        amount = stage.wealth(TWIN)
        if amount <= 0 or stage.wealth(_OTHER) != amount:
            return False
        got: list[dict[str, int]] = []
        for pair in ((TWIN, _OTHER), (_OTHER, TWIN)):
            with both.fork_state():
                paid = {}
                for name in pair:
                    outcome = apply(
                        both,
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
        raise Violation(f"two with the same got {got}")
    return True


@counterfactual_property(100)
def whatever_is_pending_becomes_final(both: Both, random: Random) -> bool:
    """Assert that after four windows anybody may roll, and that idle money leaves two rolls later.

    With a halted feed, in an emergency and in settlement as well.
    """
    if MARKET not in both.model.world.contracts:
        return False
    with both.fork_state():
        market, feed = contract_of(both, MARKET), contract_of(both, "PriceFeed")
        stage = Stage(both, 0, 0)
        if random.random() < 0.5:
            for m in range(contract_of(both, POLICY).count[()]):
                c = contract_of(both, POLICY).underlyings[m].feed
                if feed.configs[c].reporters and not feed.configs[c].halted:
                    must(both, "PriceFeed", "set_halted", c, True, by=feed.admins[()])
        for _ in range(2):
            stage.roll()
        for owner in sorted(market.accounts.keys() - both.model.world.addresses.keys()):
            must(both, MARKET, "wake", owner, by=VISITOR)
            standing = both.view(MARKET, "standing_of", owner)
            amount = min(standing.own - standing.haircut, market.holdings[()] - market.fee_table[()])
            idle = not both.view(MARKET, "holdings_of", owner)
            if idle and amount > 0 and (not market.closing[()] or _is_over(market)):
                must(both, MARKET, "withdraw", amount, VISITOR, by=owner)
    return True


def _is_over(market: Any) -> bool:
    return bool(market.clocks[()].cycle >= market.closing[()] + 2)
