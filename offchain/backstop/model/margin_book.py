"""What accounts and perpetual markets hold, and what an account is worth.

Sizes are whole lots, above zero for longs; prices whole wei of stablecoin for one lot; so a value is exact.
Funding is an index, wei a lot: a lot bought at P when the index is F moves P - F of cash, and one held at a
price q is worth q - F now,

    equity = cash + sum of size*(q - F)

so that funding needs no entry in a position. A trade moves the same value on both sides: the sum of all
cash never changes by one, and the sum of sizes is zero.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, quotient, signed
from backstop.model.interfaces import FROZEN, LAST, IMarginPolicy
from backstop.model.state import Contract, World, immutable, require, slot

PERIOD = 28_800
"""Seconds: what funding may be at most is said for a period."""
INTERVAL = 3_600
"""Seconds: a new rate follows from the trades of an interval."""
MAX_LOTS = 2**63 - 1


@slot(-138, 8)
class Account(NamedTuple):
    """Cash in wei, and a bit for each market in which it has a position."""

    cash: int = 0
    markets: int = 0


@slot(-64, -138)
class Position(NamedTuple):
    """Lots, and the wei that they were bought for, funding taken off: only ranks and cuts look at it."""

    size: int = 0
    cost: int = 0


@slot(-128, -96, 32)
class Funding(NamedTuple):
    """The index (wei a lot), wei a lot and second, and until when the index counts."""

    level: int = 0
    rate: int = 0
    updated: int = 0


@slot(32, 32, 64, 128)
class Interest(NamedTuple):
    """Accounts on both sides, lots that are long, and wei that losers owe and nobody has paid."""

    longs: int = 0
    shorts: int = 0
    open: int = 0
    unpaid: int = 0


@slot(-160, 64, 32)
class Premium(NamedTuple):
    """Lots x wei that trades were above the price, their lots, since when."""

    total: int = 0
    volume: int = 0
    since: int = 0


@slot(96, -128)
class FrozenPrice(NamedTuple):
    """Price and index when a market was frozen."""

    price: int = 0
    level: int = 0


class Worth(NamedTuple):
    """Equity and notional in wei, margins in basis points x wei."""

    equity: int
    initial: int
    maintenance: int
    notional: int


class MarginBook(Contract):
    """See contracts/modules/margin_book.vy."""

    margin_policy_address = immutable("POLICY", str)

    def __init__(self, world: World, name: str, address: str, margin_policy: str) -> None:
        super().__init__(world, name, address)
        self.margin_policy_address = margin_policy
        self.accounts = self.table("margin_book.accounts", Account())
        self.positions = self.table("margin_book.positions", Position())
        self.fundings = self.table("margin_book.fundings", Funding())
        self.interests = self.table("margin_book.interests", Interest())
        self.premiums = self.table("margin_book.premiums", Premium())
        self.frozen_prices = self.table("margin_book.frozen_prices", FrozenPrice())

    @property
    def policy(self) -> IMarginPolicy:
        return cast(IMarginPolicy, self.world.at(self.margin_policy_address))

    # ----------------------------------------------------------------- values

    def _worth(self, owner: str, account: Account, kind: int) -> Worth:
        """Return what an account is worth, and the margin that it needs, at prices of a kind."""
        equity, initial, maintenance, notional = account.cash, 0, 0, 0
        for market in range(bounds.MAX_MARGIN_MARKETS):
            if not account.markets >> market & 1:
                continue
            size = self.positions[owner, market].size
            if kind == FROZEN:
                frozen: FrozenPrice = self.frozen_prices[market]
                equity += size * (frozen.price - frozen.level)
                notional += abs(size) * frozen.price
                continue
            needs = self.policy.needs(self.address, market, size, kind, self.interests[market].open)
            equity += size * (needs.price - self._index(market))
            notional += needs.notional
            initial += needs.initial
            maintenance += needs.maintenance
        return Worth(equity, initial, maintenance, notional)

    def _index(self, market: int) -> int:
        """Return the funding index of now [wei a lot]."""
        funding: Funding = self.fundings[market]
        return funding.level + funding.rate * (self.world.timestamp - funding.updated)

    def _price(self, market: int, kind: int) -> int:
        return self.policy.price_of(self.address, market, kind, True)

    # ---------------------------------------------------------------- changes

    def _trade(self, owner: str, market: int, delta: int, at: int) -> int:
        """Buy (or sell) lots at a price less the index; the gain that lots realised which left."""
        account: Account = self.accounts[owner]
        position: Position = self.positions[owner, market]
        interest: Interest = self.interests[market]
        old, size = position.size, signed(position.size + delta)
        require(abs(size) <= MAX_LOTS, "margin_book: too many lots")
        cash = account.cash - delta * at
        gain, cost = 0, position.cost + delta * at
        if old != 0 and (old > 0) != (delta > 0):
            rest = size if (size > 0) == (old > 0) else 0
            kept = quotient(position.cost * rest, old)
            gain = (old - rest) * at - (position.cost - kept)
            cost = kept + (size - rest) * at

        interest = interest._replace(
            open=interest.open + max(size, 0) - max(old, 0),
            longs=interest.longs + (size > 0) - (old > 0),
            shorts=interest.shorts + (size < 0) - (old < 0),
        )
        markets = account.markets & ~(1 << market) | (size != 0) << market
        self._store_position(owner, market, Position(size, cost))
        self._store_interest(market, interest)
        self._store_account(owner, Account(cash, markets))
        self.emit("PositionChanged", owner, market, size, cost, cash)
        return gain

    def _cut(self, owner: str, market: int, gain: int) -> None:
        """Have a realised gain repay the market's unpaid losses, by the market's share of it."""
        interest: Interest = self.interests[market]
        if interest.unpaid != 0:
            share = self.policy.haircut(self.address, market)
            amount = min(interest.unpaid, gain * share // BASIS_POINTS)
            self._store_interest(market, interest._replace(unpaid=interest.unpaid - amount))
            self._credit(owner, -amount)
            self.emit("GainCut", owner, market, amount)

    def _add_cost(self, owner: str, market: int, amount: int) -> None:
        """Add to a position's cost what its gain has paid: that is no gain any more."""
        position: Position = self.positions[owner, market]
        if position.size != 0:
            self._store_position(owner, market, position._replace(cost=position.cost + amount))

    def _credit(self, owner: str, amount: int) -> None:
        """Change an account's cash."""
        account: Account = self.accounts[owner]
        self._store_account(owner, account._replace(cash=account.cash + amount))

    def _accrue(self, market: int) -> int:
        """Move the index up to now; after an interval the rate follows the premium of its trades."""
        funding = Funding(self._index(market), self.fundings[market].rate, self.world.timestamp)
        premium: Premium = self.premiums[market]
        if self.world.timestamp >= premium.since + INTERVAL:
            # Over all that is open, whatever was traded: no volume waters it down.
            weight = max(self.interests[market].open, 1)
            rate = quotient(self._capped(market, quotient(premium.total, weight)), PERIOD)
            funding = funding._replace(rate=rate)
            self.premiums[market] = Premium(0, 0, self.world.timestamp)
            self.emit("FundingSet", market, funding.level, rate)
        self.fundings[market] = funding
        return funding.level

    def _note_premium(self, market: int, lots: int, price: int) -> int:
        """Count a trade for the next rate, at most as far from the feed's price as a rate may go."""
        over = self._capped(market, price - self._price(market, LAST))
        premium: Premium = self.premiums[market]
        taken = min(lots, MAX_LOTS - premium.volume)
        self.premiums[market] = premium._replace(
            total=premium.total + taken * over, volume=premium.volume + taken
        )
        return over

    def _freeze_prices(self) -> None:
        """Keep all prices and indices as they are now."""
        for market in range(self.policy.markets(self.address)):
            self.frozen_prices[market] = FrozenPrice(self._price(market, LAST), self._index(market))

    def _capped(self, market: int, premium: int) -> int:
        """Return a premium, as far as funding may go."""
        most = self.policy.most_premium(self.address, market)
        return max(-most, min(most, premium))

    def _store_account(self, owner: str, account: Account) -> None:
        require(abs(account.cash) < 2**137, "margin_book: beyond all figures")
        self.accounts[owner] = account

    def _store_position(self, owner: str, market: int, position: Position) -> None:
        require(abs(position.cost) < 2**137, "margin_book: beyond all figures")
        self.positions[owner, market] = position

    def _store_interest(self, market: int, interest: Interest) -> None:
        require(interest.open <= MAX_LOTS, "margin_book: too much is open")
        fits = max(interest.longs, interest.shorts) < 2**32 and interest.unpaid < 2**128
        require(fits, "margin_book: beyond all counts")
        self.interests[market] = interest
