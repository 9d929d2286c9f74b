"""Who may trade in the perpetual markets, and at what. It holds nothing and keeps nothing.

New risk needs its initial margin without any gain that is not final, at marks of now. Amounts in wad, sizes
in lots, prices in wei a lot, margins in basis points x wei.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, div_up
from backstop.model.interfaces import (
    EMERGENCY,
    IMarginFund,
    IMarginPolicy,
    IPerpetualMarket,
    IRiskPolicy,
    IVaultEngine,
    Takeover,
)
from backstop.model.owned import is_owned
from backstop.model.price_path import INTERVAL, PERIOD, better_of, side_of
from backstop.model.state import ZERO_ADDRESS, Contract, World, external, immutable, require

# All markets, by bits.
ALL = 2**bounds.MAX_MARGIN_MARKETS - 1


class Rules(NamedTuple):
    """What never changes of a desk's rules."""

    band: int  # basis points that a trade may be from the mark
    maker_fee: int  # basis points of notional
    taker_fee: int  # basis points of notional
    fee_share: int  # basis points of a liquidator's reward that are insurance
    divergence: int  # basis points that a mark may be from its index for new risk; 0 is off


class Marks(NamedTuple):
    """The markets that an account has lots in, at prices of now."""

    fresh: int  # by bits: those with a price of now
    silent: bool  # whether there are others
    better: int  # by how much more its lots with a price were worth at the better end of the range, wei
    worse: int  # by how much less at the worse end, wei


class PerpetualDesk(Contract):
    """See contracts/PerpetualDesk.vy."""

    KIND = "PerpetualDesk"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    margin_policy_address = immutable("POLICY", str)
    # The zero address if there is none: then there are no modes.
    risk_policy_address = immutable("RISK_POLICY", str)
    margin_orders_address = immutable("MARGIN_ORDERS", str)
    market_address = immutable("MARKET", str)
    # Says whose lots are closed against those that are nobody's; the zero address if nobody does.
    closer_address = immutable("CLOSER", str)
    band = immutable("BAND", int)
    maker_fee = immutable("MAKER_FEE", int)
    taker_fee = immutable("TAKER_FEE", int)
    fee_share = immutable("FEE_SHARE", int)
    divergence = immutable("DIVERGENCE", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        margin_policy: str,
        risk_policy: str,
        margin_orders: str,
        market: str,
        closer: str,
        rules: Rules,
    ) -> None:
        super().__init__(world, name, address)
        terms = Rules(*rules)
        require(terms.band <= bounds.MAX_BAND, "desk: band bounds")
        require(max(terms.maker_fee, terms.taker_fee) <= bounds.MAX_TRADE_FEE, "desk: fee bounds")
        require(terms.fee_share <= BASIS_POINTS, "desk: share bounds")
        require(terms.divergence <= bounds.MAX_DIVERGENCE, "desk: divergence bounds")
        self.vault_engine_address = vault_engine
        self.margin_policy_address = margin_policy
        self.risk_policy_address = risk_policy
        self.margin_orders_address = margin_orders
        self.market_address = market
        self.closer_address = closer
        self.band = terms.band
        self.maker_fee = terms.maker_fee
        self.taker_fee = terms.taker_fee
        self.fee_share = terms.fee_share
        self.divergence = terms.divergence

    @property
    def market(self) -> IPerpetualMarket:
        return cast(IPerpetualMarket, self.world.at(self.market_address))

    @property
    def policy(self) -> IMarginPolicy:
        return cast(IMarginPolicy, self.world.at(self.margin_policy_address))

    # ----------------------------------------------------------------- trades

    @external
    def trade(
        self,
        sender: str,
        market: int,
        maker: str,
        taker: str,
        delta: int,
        price: int,
        maker_reduces: bool,
        taker_reduces: bool,
    ) -> None:
        """Book a trade that both accounts have signed."""
        require(sender == self.margin_orders_address, "desk: not orders")
        require(0 < price <= bounds.MAX_LOT_PRICE, "desk: price bounds")
        mark = self.market.accrue(self.address, market).price
        require(mark != 0, "desk: no mark yet")
        require(abs(price - mark) * BASIS_POINTS <= self.band * mark, "desk: outside the band")
        self._check_solvent(maker)
        self._check_solvent(taker)
        notional = abs(delta) * price
        pays = [_fee(notional, self.maker_fee), _fee(notional, self.taker_fee)]
        # Whoever has a better price than the mark.
        pays[(price > mark) == (delta > 0)] += self._premium_fee(market, abs(delta), mark, abs(price - mark))
        before = self._open(market)
        self.market.exchange(self.address, market, maker, taker, delta, price, -pays[0], -pays[1])
        opened = self._open(market)
        if opened > before:
            require(opened <= self.policy.open_limit(self.address, market), "desk: open limit")
            if self.policy.insured(self.address, market):
                require(self._is_covered(), "desk: not insured")
        ends = self._ends(market)
        self._check_side(maker, market, delta, price, mark, maker_reduces or ends)
        self._check_side(taker, market, -delta, price, mark, taker_reduces or ends)

    @external
    def take(self, sender: str, market: int, lots: int, owner: str | None = None) -> None:
        """Take lots over that were taken from debtors, at the mark, into an account of the sender's."""
        owner = owner or sender
        require(is_owned(self.world, owner, sender), "desk: not its owner")
        price, _, high = self.market.accrue(self.address, market)
        require(high != 0, "desk: no price for lots")
        self._check_solvent(owner)
        long, short = self.market.lots_of(self.address, market)
        require(0 < lots <= abs(short - long), "desk: not so many lots")
        delta = lots if short > long else -lots
        rewarded = self._rewarded()
        fee = _fee(lots * price, self.taker_fee)
        self.market.exchange(self.address, market, owner, self.market_address, delta, price, -fee, 0)
        self._reward(owner, _share(rewarded, lots * price))
        self._check_side(owner, market, delta, price, price, self._ends(market))
        self.emit("Taken", owner, market, delta, price)

    @external
    def deleverage(
        self,
        sender: str,
        market: int,
        side: int,
        accounts: tuple[str, ...],
        most: tuple[int, ...],
        prover: str,
        executor: str,
    ) -> tuple[tuple[int, ...], int]:
        """Close lots of accounts against those that are nobody's; how many of each, and how many are left."""
        require(sender == self.closer_address, "desk: not the closer")
        price, _, high = self.market.accrue(self.address, market)
        require(high != 0, "desk: no price to close at")
        lots = self.market.lots_of(self.address, market)
        left = lots[side] - min(lots)
        rewarded = self._rewarded()
        found = []
        for owner, limit in zip(accounts, most, strict=True):
            size = self._size(owner, market)
            closed = min(abs(size), limit, left) if side_of(size) == side else 0
            if closed:
                delta = -closed if size > 0 else closed
                self.market.exchange(self.address, market, owner, self.market_address, delta, price, 0, 0)
                left -= closed
                self.emit("Deleveraged", owner, market, delta, price, prover)
            found.append(closed)
        amount = _share(rewarded, sum(found) * price)
        self._reward(prover, amount // 2)
        self._reward(executor, amount - amount // 2)
        return tuple(found), left

    @external
    def liquidate(
        self, sender: str, owner: str, market: int, lots: int, liquidator: str | None = None
    ) -> int:
        """Take over lots of an account under its maintenance margin, up to so many; the reward."""
        liquidator = liquidator or sender
        require(owner != liquidator, "desk: own account")
        require(is_owned(self.world, liquidator, sender), "desk: not its liquidator")
        self.market.wake(self.address, owner)
        self.market.wake(self.address, liquidator)
        size = self._size(owner, market)
        require(lots != 0 and size != 0, "desk: not that many")
        marks = self._mark_all(owner)
        require(marks.fresh >> market & 1 == 1, "desk: no price of now")
        equity, _ = self._equity(owner)
        require(equity >= 0, "desk: meet it")
        initial, maintenance = self._margins(owner, False, marks.fresh)
        require((equity + marks.better) * BASIS_POINTS < maintenance, "desk: safe account")
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        if self._ends(market) or engine.in_settlement(self.address):
            require(self.policy.final_price(self.address, market) == 0, "desk: price is final")
        price = self.market.accrue(self.address, market).price
        asked = min(lots, abs(size))
        lots, reward = self.policy.reward(
            self.address, Takeover(market, abs(size), asked, price, equity, initial, maintenance)
        )
        fee = reward * self.fee_share // BASIS_POINTS
        delta = -lots if size > 0 else lots
        self.market.exchange(self.address, market, owner, liquidator, delta, price, -reward, reward - fee)
        self._check_side(liquidator, market, -delta, price, price, False, guards=False)
        self.emit("Liquidated", owner, liquidator, market, lots, price, reward, fee)
        return reward

    @external
    def check_risk(self, sender: str, owner: str) -> None:
        """Revert unless an account may have the risk that it has, at the worse ends of marks of now."""
        self._check_risk(owner)

    # ---------------------------------------------------------------- helpers

    def _premium_fee(self, market: int, lots: int, mark: int, apart: int) -> int:
        """Return what a price off the mark costs whom it is better for [wei], rounded up.

        It is at least what the premium has one side pay the other in an interval, as far as funding goes.
        """
        over = min(apart, self.policy.most_premium_at(self.address, market, mark))
        return div_up(lots * over * INTERVAL, PERIOD)

    def _open(self, market: int) -> int:
        """Return the lots of the side that has more."""
        return max(self.market.lots_of(self.address, market))

    def _is_covered(self) -> bool:
        """Tell whether insurance has what all markets that ask for it need together, at their last marks."""
        needed, ended = 0, self.market.clock_of(self.address).ended
        for market in range(self.policy.markets(self.address)):
            share = self.policy.insured(self.address, market)
            if share and not ended >> market & 1:
                needed += self._open(market) * self.market.mark_of(self.address, market) * share
        fund = cast(IMarginFund, self.world.at(self.market.FUND(self.address)))
        return needed <= fund.spendable(self.address) * BASIS_POINTS

    def _rewarded(self) -> tuple[int, int]:
        """Return what bonds pay for lots that are nobody's [wad], and what all of these are worth [wei]."""
        pot, notional = self.market.rewards(self.address), 0
        if pot:
            for market in range(self.policy.markets(self.address)):
                long, short = self.market.lots_of(self.address, market)
                notional += abs(long - short) * self.market.mark_of(self.address, market)
        return pot, notional

    def _reward(self, finder: str, amount: int) -> None:
        """Pay the finder, who had lots of debtors taken over, an amount [wad]."""
        if amount:
            self.market.reward(self.address, finder, amount)

    def _equity(self, owner: str) -> tuple[int, int]:
        """Return what an account has less the haircuts known, and its gains that are not final [wei]."""
        standing = self.market.standing_of(self.address, owner)
        return standing.own - standing.haircut, standing.unfinal

    def _size(self, owner: str, market: int) -> int:
        held = self.market.holdings_of(self.address, owner)
        return next((each.size for each in held if each.market == market), 0)

    def _mark_all(self, owner: str) -> Marks:
        """Mark all markets that an account has positions in."""
        fresh = better = worse = 0
        silent = False
        for held in self.market.holdings_of(self.address, owner):
            mark = self.market.accrue(self.address, held.market)
            if mark.high == 0:
                silent = True
                continue
            fresh |= 1 << held.market
            better += better_of(mark, held.size)
            worse += better_of(mark, -held.size)
        return Marks(fresh, silent, better, worse)

    def _margins(self, owner: str, risk: bool, markets: int = ALL) -> tuple[int, int]:
        """Return the initial and the maintenance margin of an account at the marks [basis points x wei].

        In some markets, by bits, or in all.
        """
        initial = maintenance = 0
        for held in self.market.holdings_of(self.address, owner):
            if not markets >> held.market & 1:
                continue
            needs = self.policy.needs_at(self.address, held.market, held.size, held.price, held.open, risk)
            initial += needs.initial
            maintenance += needs.maintenance
        return initial, maintenance

    def _ends(self, market: int) -> bool:
        """Tell whether a market is delisted: then positions are only reduced."""
        return self.policy.ends_at(self.address, market) != 0

    def _check_solvent(self, owner: str) -> None:
        self.market.wake(self.address, owner)
        require(self._equity(owner)[0] >= 0, "desk: owes, only pays in")

    def _check_side(
        self,
        owner: str,
        market: int,
        delta: int,
        price: int,
        mark: int,
        only_reduce: bool,
        guards: bool = True,
    ) -> None:
        """Revert unless an account may do what it has just done; a liquidator waits for no index."""
        size = self._size(owner, market)
        old = size - delta
        if old > 0 > delta >= -old or old < 0 < delta <= -old:
            self._check_reduced(owner, market, size, delta, price, mark)
        else:
            require(not only_reduce, "desk: would not reduce")
            self._check_risk(owner, guards)

    def _check_reduced(self, owner: str, market: int, size: int, delta: int, price: int, mark: int) -> None:
        """Solvent, no further below maintenance than before, and no gain given away that is not final."""
        equity, unfinal = self._equity(owner)
        require(equity >= 0, "desk: insolvent")
        gained = delta * (mark - price)
        if equity * BASIS_POINTS < self._margins(owner, False)[1]:
            before = self.policy.maintenance(self.address, market, abs(size - delta) * mark)
            relieved = before - self.policy.maintenance(self.address, market, abs(size) * mark)
            require(gained * BASIS_POINTS + relieved >= 0, "desk: margin would fall")
        require(gained >= 0 or equity >= unfinal, "desk: gains are not final")

    def _has_diverged(self, owner: str) -> bool:
        """Return whether a market of the account has a mark too far from its index, or no index."""
        if not self.divergence:
            return False
        for held in self.market.holdings_of(self.address, owner):
            index = self.policy.index_price(self.address, held.market)
            if abs(held.price - index) * BASIS_POINTS > index * self.divergence:
                return True
        return False

    def _check_risk(self, owner: str, guards: bool = True) -> None:
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        if self.risk_policy_address != ZERO_ADDRESS:
            policy = cast(IRiskPolicy, self.world.at(engine.risk_policy(self.address)))
            require(policy.mode(self.address) < EMERGENCY, "desk: emergency")
        require(not engine.in_settlement(self.address), "desk: in settlement")
        marks = self._mark_all(owner)
        require(not marks.silent, "desk: no price for risk")
        require(not (guards and self._has_diverged(owner)), "desk: mark is off its index")
        equity, unfinal = self._equity(owner)
        initial, _ = self._margins(owner, True)
        require((equity - unfinal - marks.worse) * BASIS_POINTS >= initial, "desk: initial margin")


def _share(rewarded: tuple[int, int], notional: int) -> int:
    """Return what of the pot is for so much of it that was taken over, rounded down."""
    pot, everything = rewarded
    return pot * notional // everything if everything else 0


def _fee(notional: int, share: int) -> int:
    """Return the fee of a trade [wei], rounded up."""
    return div_up(notional * share, BASIS_POINTS)
