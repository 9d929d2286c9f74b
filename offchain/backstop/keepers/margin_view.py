"""What keepers see of the margin market: what accounts are worth, how they rank, how far a ranking is.

All figures are integers as the contracts count, from the same tables as `View`. Without a price of a kind the
worth of an account is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from backstop.deployment.contracts import DELEVERAGERS
from backstop.deployment.parameters import MarginParameters
from backstop.keepers.deleveraging import in_order
from backstop.keepers.ledger_view import LedgerView
from backstop.keepers.seen import Tables
from backstop.model import interfaces
from backstop.model import margin_policy as policy
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.interfaces import EMERGENCY, LAST, LIQUIDATION, RISK, Insurance
from backstop.model.margin_book import Account, Funding, Interest, Position, Worth
from backstop.model.margin_market import Freeze
from backstop.model.margin_policy import Margins, Underlying
from backstop.model.ranking import Case, CaseOf, Left, Run, Standing
from backstop.model.state import ZERO_ADDRESS, Revert
from backstop.system import Snapshot


class Holding(NamedTuple):
    """An account's cash (wei) and its positions by market, lots; above zero is long."""

    cash: int
    sizes: Mapping[int, int]

    def after(self, market: int, lots: int, at: int, reward: int) -> Holding:
        """Return the holding after a purchase of lots (a sale, under zero) and a reward.

        `at` is the price less the funding index [wei a lot].
        """
        sizes = dict(self.sizes)
        sizes[market] = sizes.get(market, 0) + lots
        return Holding(self.cash - lots * at + reward, {m: size for m, size in sizes.items() if size})


class Weak(NamedTuple):
    """An account under its maintenance margin, and its worth at the price at which liquidations start."""

    owner: str
    worth: Worth

    @property
    def loss(self) -> int:
        """The debt beyond what the account has [wad]."""
        return max(0, -self.worth.equity)


class Takeover(NamedTuple):
    """Lots to take over, the liquidator's part of the reward (wad), and its holding afterwards."""

    market: int
    lots: int
    reward: int
    after: Holding


class Ranked(NamedTuple):
    """An account on the other side of a frozen position."""

    owner: str
    standing: Standing


class MarginView:
    """The margin market at one block. Figures are worked out when first asked for."""

    def __init__(self, view: LedgerView, snapshot: Snapshot, parameters: MarginParameters) -> None:
        self._view = view
        self._parameters = parameters
        self._market: Tables = snapshot["MarginMarket"]
        self._policy: Tables = snapshot["MarginPolicy"]
        self._deleverager: Tables = snapshot["MarginDeleverager"]
        self._fund: Tables = snapshot["MarginFund"]
        self._orders: Tables = snapshot["MarginOrders"]
        self._prices: dict[tuple[int, int, bool], int | None] = {}
        self.markets = range(int(self._policy["markets"].get((), 0)))

    # ------------------------------------------------------------------- markets

    def price(self, market: int, kind: int, long: bool = True) -> int | None:
        """Return the price of a kind [wei a lot], rounded down; None if there is none."""
        key = market, kind, long
        if key not in self._prices:
            self._prices[key] = self._price(*key)
        return self._prices[key]

    def _price(self, market: int, kind: int, long: bool) -> int | None:
        base: Underlying = self._policy["underlyings"][market]
        prices = self._view.prices(base.feed)
        price = prices.current
        if kind == LIQUIDATION:
            price = self._view.liquidation_price(base.feed)
            if price == 0:
                return None
        elif kind == RISK:
            if self._view.timestamp > prices.fresh_until or prices.next == 0:
                return None
            price = min(price, prices.next) if long else max(price, prices.next)
        return max(1, price * base.lot // RAY)

    def index(self, market: int) -> int:
        """Return the present funding index [wei a lot]."""
        funding: Funding = self._market["margin_book.fundings"].get(market, Funding())
        return funding.level + funding.rate * (self._view.timestamp - funding.updated)

    def interest(self, market: int) -> Interest:
        """Return a market's members, open lots and unpaid losses."""
        found: Interest = self._market["margin_book.interests"].get(market, Interest())
        return found

    def terms(self, market: int) -> Margins:
        """Return a market's margins and rewards."""
        found: Margins = self._policy["terms"][market]
        return found

    @property
    def takes_risk(self) -> bool:
        """Whether the mode lets accounts do more than reduce."""
        return self._view.mode < EMERGENCY and self._view.settlement.begun_at == 0

    @property
    def is_closing(self) -> bool:
        """Whether settlement has made the last prices final."""
        return bool(self._market["closing_since"].get((), 0))

    # ------------------------------------------------------------------ accounts

    def position(self, owner: str, market: int) -> Position:
        """Return an account's lots in a market and their cost."""
        found: Position = self._market["margin_book.positions"].get((owner, market), Position())
        return found

    def holding(self, owner: str) -> Holding:
        """Return an account's cash and positions."""
        account: Account = self._market["margin_book.accounts"].get(owner, Account())
        sizes = {m: self.position(owner, m).size for m in self.markets if account.markets >> m & 1}
        return Holding(account.cash, sizes)

    def paid_in(self, owner: str) -> int:
        """Return deposits less what was withdrawn of them [wad]."""
        return int(self._market["paid_in"].get(owner, 0))

    def worth(self, holding: Holding, kind: int) -> Worth | None:
        """Return an account's worth and the margin it needs, at prices of a kind; None without a price."""
        equity, initial, maintenance, total = holding.cash, 0, 0, 0
        for market, size in holding.sizes.items():
            price = self.price(market, kind, size > 0)
            if price is None:
                return None
            terms, notional = self.terms(market), abs(size) * price
            equity += size * (price - self.index(market))
            total += notional
            maintenance += terms.maintenance_margin(notional)
            if kind == RISK:
                initial += terms.new_risk_margin(notional, self.interest(market).open * price)
            else:
                initial += terms.initial_margin(notional)
        return Worth(equity, initial, maintenance, total)

    def equity(self, owner: str) -> int:
        """Return an account's worth at the last prices [wad]; 0 if it owes more than it has."""
        worth = self.worth(self.holding(owner), LAST)
        assert worth is not None
        return max(0, worth.equity)

    @cached_property
    def weak(self) -> list[Weak]:
        """The accounts under their maintenance margin, the lowest equity first.

        They are measured at the price at which liquidations start.
        """
        quotes = {m: (price - self.index(m), price) for m in self.markets if (price := self._starts_at(m))}
        terms = [self.terms(m) for m in self.markets]
        ways = range(1 << len(self.markets))
        sets = [tuple(m for m in self.markets if way >> m & 1) for way in ways]
        blind = sum(1 << m for m in self.markets if m not in quotes)
        positions = self._market["margin_book.positions"]
        found = []
        # All accounts are looked at, so only what is needed is worked out.
        for owner, (cash, markets) in self._market["margin_book.accounts"].items():
            if markets == 0 or markets & blind:
                continue
            equity, needed = cash, 0
            for m in sets[markets]:
                size = positions[owner, m].size
                net, price = quotes[m]
                equity += size * net
                needed += terms[m].maintenance_margin(abs(size) * price)
            if equity * BASIS_POINTS < needed:
                worth = self.worth(self.holding(owner), LIQUIDATION)
                assert worth is not None
                found.append(Weak(owner, worth))
        return sorted(found, key=lambda each: (each.worth.equity, each.owner))

    def _starts_at(self, market: int) -> int | None:
        return self.price(market, LIQUIDATION)

    @property
    def insolvent(self) -> list[Weak]:
        """The accounts that owe more than they have, the largest loss first."""
        return [each for each in self.weak if each.loss]

    def largest_first(self, owner: str) -> list[int]:
        """Return the markets of an account's positions, the largest notional first."""
        sizes = self.holding(owner).sizes
        return sorted(sizes, key=lambda m: (-abs(sizes[m]) * (self._starts_at(m) or 0), m))

    # -------------------------------------------------------------- liquidations

    def takeover(self, weak: Weak, market: int, mine: Holding, lots: int) -> Takeover | None:
        """Return what taking over lots of an account into `mine` brings; None if it would be refused."""
        size, price = self.position(weak.owner, market).size, self._starts_at(market)
        assert price is not None
        asked = interfaces.Takeover(
            market, abs(size), lots, price, weak.worth.equity, weak.worth.initial, weak.worth.maintenance
        )
        try:
            reward = policy.reward_of(self.terms(market), self._policy["underlyings"][market].dust, asked)
        except Revert:
            return None
        kept = reward - reward * self._parameters.fee_share // BASIS_POINTS
        delta = lots if size > 0 else -lots
        after = mine.after(market, delta, price - self.index(market), kept)
        had = mine.sizes.get(market, 0)
        reduces = had * delta < 0 and abs(delta) <= abs(had)
        return Takeover(market, lots, kept, after) if self._bears(after, reduces) else None

    def _bears(self, after: Holding, reduces: bool) -> bool:
        """Tell whether an account may be left with this holding.

        One that only reduces may do a little more than this says.
        """
        if reduces:
            worth = self.worth(after, LAST)
            return worth is not None and worth.equity * BASIS_POINTS >= worth.maintenance
        worth = self.worth(after, RISK) if self.takes_risk else None
        return worth is not None and worth.equity * BASIS_POINTS >= worth.initial

    def most(self, weak: Weak, market: int, mine: Holding) -> Takeover | None:
        """Return the takeover of as many lots of a position as `mine` bears; None if it bears none."""
        whole = abs(self.position(weak.owner, market).size)
        best = self.takeover(weak, market, mine, whole)
        # Fewer lots need less margin, are needed sooner, and leave no dust.
        fits, beyond = 0, 0 if best else whole
        while beyond - fits > 1:
            lots = (fits + beyond) // 2
            found = self.takeover(weak, market, mine, lots)
            if found is None:
                beyond = lots
            else:
                fits, best = lots, found
        return best

    def reward(self, weak: Weak) -> int:
        """Return an upper bound of the reward for lots of an account [wad]."""
        shortage = max(0, weak.worth.maintenance // BASIS_POINTS - weak.worth.equity)
        return max(0, min(weak.worth.equity, shortage))

    # -------------------------------------------------------------------- losses

    @property
    def fees(self) -> int:
        """The fees that the fund has not collected [wad]."""
        return int(self._market["fees"].get((), 0))

    @property
    def insured(self) -> int:
        """What the fund would pay now: profits not vested yet, and insurance under its cap [wad]."""
        now = self._view.timestamp // self._parameters.bucket
        buckets = self._fund["buckets"]
        unvested = sum(
            buckets[b].assets for b in range(now, now - self._parameters.buckets, -1) if b in buckets
        )
        insurance: Insurance = self._fund["insurance"].get((), Insurance())
        spent = insurance.spent if insurance.bucket == now else 0
        room = max(0, int(self._fund["cap"].get((), 0)) * WAD - spent)
        return int(unvested + min(insurance.amount + self.fees, room))

    def postable(self, market: int) -> int:
        """Return what of a market's unpaid losses the protocol would bear now [wad]."""
        domain = self._view.domains.get(self._parameters.domain)
        if domain is None or domain.announced or not self.takes_risk:
            return 0
        line = self._view.terms(domain.collateral_type).debt_ceiling * WAD
        return max(0, min(self.interest(market).unpaid, line - div_up(domain.debt, RAY) - domain.lost))

    # -------------------------------------------------------------- deleveraging

    @cached_property
    def frozen(self) -> int | None:
        """The market that is frozen; None if none is."""
        freeze: Freeze = self._market["frozen"].get((), Freeze())
        return freeze.market if self._view.timestamp <= freeze.until else None

    @cached_property
    def case(self) -> CaseOf:
        """The last freeze, and what is left to close and to pay."""
        case: Case = self._deleverager["ranking.case"].get((), Case())
        left: Left = self._deleverager["ranking.left"].get((), Left())
        return CaseOf(*case, *left)

    @property
    def prover(self) -> str | None:
        """The sender of the complete ranking; None if no ranking is complete."""
        found = str(self._deleverager["ranking.prover"].get((), ZERO_ADDRESS))
        return None if found == ZERO_ADDRESS else found

    def run(self, sender: str) -> Run:
        """Return how far a sender's ranking is in this freeze, and how many of it close or pay."""
        run: Run = self._deleverager["ranking.runs"].get(sender, Run())
        return run if run.id == self.case.id else Run(self.case.id)

    def left_by(self, sender: str) -> Left:
        """Return what those chosen by a sender's ranking leave to close and to pay.

        Where all who gained share, nobody is chosen, and all is left.
        """
        if self.shares or self.run(sender).submitted == 0:
            return Left(self.case.lots, self.case.loss)
        found: Left = self._deleverager["lefts"].get(sender, Left())
        return found

    def executions(self) -> int:
        """Return the entries of the complete ranking left to execute, in both rounds if there are two."""
        assert self.prover is not None
        rounds = 2 if not self.shares and self.left_by(self.prover).loss else 1
        done = int(self._deleverager["ranking.executed"].get((), 0))
        return rounds * self.run(self.prover).chosen - done

    @cached_property
    def ranking(self) -> list[Ranked]:
        """The accounts on the other side in their order of rank, as they were when the market was frozen."""
        assert self.frozen is not None
        case = self.case
        found = {
            owner: Standing(each.lots, each.gain, self._deleverager["ranking.scores"].get(owner, 0))
            for owner, each in self._deleverager["ranking.remembered"].items()
            if each.id == case.id
        }
        for owner, account in self._market["margin_book.accounts"].items():
            if account.markets >> self.frozen & 1 and owner not in found:
                standing = self._standing(owner)
                if standing is not None:
                    found[owner] = standing
        order = in_order(DELEVERAGERS[self._parameters.policy], found)
        return [Ranked(owner, found[owner]) for owner in order]

    @property
    def shares(self) -> bool:
        """Whether all who gained pay, and not the first in rank."""
        return self._parameters.policy == "shared"

    def _standing(self, owner: str) -> Standing | None:
        """Return an account's standing since the freeze; None if it is not on the other side."""
        assert self.frozen is not None
        frozen_prices = self._market["margin_book.frozen_prices"]
        size, cost = self.position(owner, self.frozen)
        if (size > 0) == self.case.long:
            return None
        holding = self.holding(owner)
        equity, notional = holding.cash, 0
        for market, lots in holding.sizes.items():
            price, level = frozen_prices[market]
            equity += lots * (price - level)
            notional += abs(lots) * price
        price, level = frozen_prices[self.frozen]
        gain = max(0, min(size * (price - level) - cost, equity))
        return Standing(abs(size), gain, div_up(gain * notional, equity) if gain else 0)

    # -------------------------------------------------------------------- orders

    def filled(self, digest: bytes) -> int:
        """Return the lots of an order that were filled; more than any size once it is cancelled."""
        return int(self._orders["filled"].get(digest, 0))

    def nonce_floor(self, owner: str) -> int:
        """Return the nonce below which an account's orders are void."""
        return int(self._orders["nonce_floor"].get(owner, 0))
