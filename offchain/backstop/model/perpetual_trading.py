"""Access to trading in the perpetual markets, and its prices. It holds nothing and keeps nothing.

New risk needs its initial margin without any gain that is not final, at current marks. Amounts in wad, sizes
in lots, prices in wei a lot, margins in basis points x wei.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import ZERO_ADDRESS, Contract, World, external, immutable, require
from backstop.model import bounds
from backstop.model.account_owner import is_own_or_subaccount
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
from backstop.model.price_path import INTERVAL, PERIOD, compute_range_gain, get_side

# All markets, by bits.
ALL = 2**bounds.MAX_MARGIN_MARKETS - 1


class Rules(NamedTuple):
    """Constants of the trading contract, fixed at deployment."""

    band: int  # basis points that a trade may be from the mark
    maker_fee: int  # basis points of notional
    taker_fee: int  # basis points of notional
    fee_share: int  # basis points of a liquidator's reward that are insurance
    divergence: int  # basis points that a mark may be from its index for new risk; 0 is off


class Marks(NamedTuple):
    """Current prices of the markets in which an account has positions."""

    fresh: int  # by bits: those with a price of now
    silent: bool  # whether there are others
    better: int  # by how much more its lots with a price were worth at the better end of the range, wei
    worse: int  # by how much less at the worse end, wei


class PerpetualTrading(Contract):
    """Trading rules of the perpetual markets: fees, margins, liquidation (model of PerpetualTrading.vy).

    The contract holds no funds and stores no state.
    """

    KIND = "PerpetualTrading"

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
        require(terms.band <= bounds.MAX_BAND, "trading: band bounds")
        require(max(terms.maker_fee, terms.taker_fee) <= bounds.MAX_TRADE_FEE, "trading: fee bounds")
        require(terms.fee_share <= BASIS_POINTS, "trading: share bounds")
        require(terms.divergence <= bounds.MAX_DIVERGENCE, "trading: divergence bounds")
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
        """Execute a trade of `delta` lots between two accounts that have both signed it, and charge fees.

        The maker buys the lots, or sells them if `delta` is negative. The price [wei a lot] must lie within
        the band around the mark price. With `maker_reduces` or `taker_reduces` that account may only reduce
        its position. Raises RevertError if a margin, open interest or insurance limit is broken. Only the
        orders contract may call.
        """
        require(sender == self.margin_orders_address, "trading: not orders")
        require(0 < price <= bounds.MAX_LOT_PRICE, "trading: price bounds")
        mark = self.market.accrue(self.address, market).price
        require(mark != 0, "trading: no mark yet")
        require(abs(price - mark) * BASIS_POINTS <= self.band * mark, "trading: outside the band")
        self._check_solvent(maker)
        self._check_solvent(taker)
        notional = abs(delta) * price
        pays = [_compute_fee(notional, self.maker_fee), _compute_fee(notional, self.taker_fee)]
        # Whoever has a better price than the mark.
        pays[(price > mark) == (delta > 0)] += self._premium_fee(market, abs(delta), mark, abs(price - mark))
        before = self._get_open_lots(market)
        self.market.execute_trade(self.address, market, maker, taker, delta, price, -pays[0], -pays[1])
        opened = self._get_open_lots(market)
        if opened > before:
            require(opened <= self.policy.open_limit(self.address, market), "trading: open limit")
            if self.policy.insured(self.address, market):
                require(self._has_insurance_for_open_lots(), "trading: not insured")
        ends = self._is_delisted(market)
        self._check_account_after_trade(maker, market, delta, price, mark, maker_reduces or ends)
        self._check_account_after_trade(taker, market, -delta, price, mark, taker_reduces or ends)

    @external
    def take(self, sender: str, market: int, lots: int, owner: str | None = None) -> None:
        """Transfer unassigned lots to the caller's account at the mark price.

        Unassigned lots were seized from insolvent accounts. The account pays the taker fee and receives its
        pro rata share of the reward pot.
        """
        owner = owner or sender
        require(is_own_or_subaccount(self.world, owner, sender), "trading: not its owner")
        price, _, high = self.market.accrue(self.address, market)
        require(high != 0, "trading: no price for lots")
        self._check_solvent(owner)
        long, short = self.market.lots_of(self.address, market)
        require(0 < lots <= abs(short - long), "trading: not so many lots")
        delta = lots if short > long else -lots
        rewarded = self._compute_reward_pot_and_notional()
        fee = _compute_fee(lots * price, self.taker_fee)
        self.market.execute_trade(self.address, market, owner, self.market_address, delta, price, -fee, 0)
        self._pay_finder(owner, _compute_pot_share(rewarded, lots * price))
        self._check_account_after_trade(owner, market, delta, price, price, self._is_delisted(market))
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
        """Close accounts' lots against unassigned lots (seized from insolvent accounts) at the mark price.

        Account k loses at most `most[k]` lots. Return the lots closed per account, and the lots that remain
        unassigned. One half of the reward goes to `prover`, the other half to `executor`. Only the contract
        that selects the accounts may call.
        """
        require(sender == self.closer_address, "trading: not the closer")
        price, _, high = self.market.accrue(self.address, market)
        require(high != 0, "trading: no price to close at")
        lots = self.market.lots_of(self.address, market)
        left = lots[side] - min(lots)
        rewarded = self._compute_reward_pot_and_notional()
        found = []
        for owner, limit in zip(accounts, most, strict=True):
            size = self._get_size(owner, market)
            closed = min(abs(size), limit, left) if get_side(size) == side else 0
            if closed:
                delta = -closed if size > 0 else closed
                self.market.execute_trade(
                    self.address, market, owner, self.market_address, delta, price, 0, 0
                )
                left -= closed
                self.emit("Deleveraged", owner, market, delta, price, prover)
            found.append(closed)
        amount = _compute_pot_share(rewarded, sum(found) * price)
        self._pay_finder(prover, amount // 2)
        self._pay_finder(executor, amount - amount // 2)
        return tuple(found), left

    @external
    def liquidate(
        self, sender: str, owner: str, market: int, lots: int, liquidator: str | None = None
    ) -> int:
        """Transfer up to `lots` of an account below maintenance margin to a liquidator; return the reward.

        The reward is in wei and paid by the account; a share of it becomes insurance. Raises RevertError if
        the account is safe, insolvent, or has no current price in this market.
        """
        liquidator = liquidator or sender
        require(owner != liquidator, "trading: own account")
        require(is_own_or_subaccount(self.world, liquidator, sender), "trading: not its liquidator")
        self.market.update_account(self.address, owner)
        self.market.update_account(self.address, liquidator)
        size = self._get_size(owner, market)
        require(lots != 0 and size != 0, "trading: not that many")
        marks = self._mark_markets_of_account(owner)
        require(marks.fresh >> market & 1 == 1, "trading: no price of now")
        equity, _ = self._compute_equity_and_unfinal_gains(owner)
        require(equity >= 0, "trading: seize first")
        initial, maintenance = self._compute_margins(owner, False, marks.fresh)
        require((equity + marks.better) * BASIS_POINTS < maintenance, "trading: safe account")
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        if self._is_delisted(market) or engine.in_settlement(self.address):
            require(self.policy.final_price(self.address, market) == 0, "trading: price is final")
        price = self.market.accrue(self.address, market).price
        asked = min(lots, abs(size))
        lots, reward = self.policy.reward(
            self.address, Takeover(market, abs(size), asked, price, equity, initial, maintenance)
        )
        fee = reward * self.fee_share // BASIS_POINTS
        delta = -lots if size > 0 else lots
        self.market.execute_trade(
            self.address, market, owner, liquidator, delta, price, -reward, reward - fee
        )
        self._check_account_after_trade(liquidator, market, -delta, price, price, False, guards=False)
        self.emit("Liquidated", owner, liquidator, market, lots, price, reward, fee)
        return reward

    @external
    def check_risk(self, sender: str, owner: str) -> None:
        """Raise RevertError unless an account has its initial margin.

        Positions are valued at the worse ends of the current price ranges.
        """
        self._check_risk(owner)

    # ---------------------------------------------------------------- helpers

    def _premium_fee(self, market: int, lots: int, mark: int, apart: int) -> int:
        """Return the fee for trading away from the mark price, paid by the favoured side [wei], rounded up.

        The fee is at least the funding that one side would pay the other in one interval for this premium.
        The premium counts only up to the maximum of the funding rate.
        """
        over = min(apart, self.policy.max_funding_premium(self.address, market, mark))
        return div_up(lots * over * INTERVAL, PERIOD)

    def _get_open_lots(self, market: int) -> int:
        """Return the lots of the larger side of a market."""
        return max(self.market.lots_of(self.address, market))

    def _has_insurance_for_open_lots(self) -> bool:
        """Return True if insurance covers the sum that all markets require, at their last mark prices."""
        needed, ended = 0, self.market.clock_of(self.address).ended
        for market in range(self.policy.markets(self.address)):
            share = self.policy.insured(self.address, market)
            if share and not ended >> market & 1:
                needed += self._get_open_lots(market) * self.market.mark_of(self.address, market) * share
        fund = cast(IMarginFund, self.world.at(self.market.FUND(self.address)))
        return needed <= fund.spendable(self.address) * BASIS_POINTS

    def _compute_reward_pot_and_notional(self) -> tuple[int, int]:
        """Return the reward pot for taking over unassigned lots [wad], and these lots' value [wei]."""
        pot, notional = self.market.rewards(self.address), 0
        if pot:
            for market in range(self.policy.markets(self.address)):
                long, short = self.market.lots_of(self.address, market)
                notional += abs(long - short) * self.market.mark_of(self.address, market)
        return pot, notional

    def _pay_finder(self, finder: str, amount: int) -> None:
        """Pay `finder` from the reward pot for having insolvent accounts' lots taken over [wad]."""
        if amount:
            self.market.reward(self.address, finder, amount)

    def _compute_equity_and_unfinal_gains(self, owner: str) -> tuple[int, int]:
        """Return an account's equity less known haircuts, and its gains that are not final yet [wei]."""
        standing = self.market.standing_of(self.address, owner)
        return standing.own - standing.haircut, standing.unfinal

    def _get_size(self, owner: str, market: int) -> int:
        held = self.market.holdings_of(self.address, owner)
        return next((each.size for each in held if each.market == market), 0)

    def _mark_markets_of_account(self, owner: str) -> Marks:
        """Update the mark prices of all markets in which an account has positions.

        Return the markets with a current price, and how much the positions gain or lose at the ends of the
        price ranges [wei].
        """
        fresh = better = worse = 0
        silent = False
        for held in self.market.holdings_of(self.address, owner):
            mark = self.market.accrue(self.address, held.market)
            if mark.high == 0:
                silent = True
                continue
            fresh |= 1 << held.market
            better += compute_range_gain(mark, held.size)
            worse += compute_range_gain(mark, -held.size)
        return Marks(fresh, silent, better, worse)

    def _compute_margins(self, owner: str, risk: bool, markets: int = ALL) -> tuple[int, int]:
        """Return an account's initial and maintenance margin at the last mark prices [basis points x wei].

        `markets` is a bit mask of the markets that count; by default all do.
        """
        initial = maintenance = 0
        for held in self.market.holdings_of(self.address, owner):
            if not markets >> held.market & 1:
                continue
            needs = self.policy.margin_requirement(
                self.address, held.market, held.size, held.price, held.open, risk
            )
            initial += needs.initial
            maintenance += needs.maintenance
        return initial, maintenance

    def _is_delisted(self, market: int) -> bool:
        """Return True if a market is delisted, so that positions in it may only be reduced."""
        return self.policy.ends_at(self.address, market) != 0

    def _check_solvent(self, owner: str) -> None:
        self.market.update_account(self.address, owner)
        require(self._compute_equity_and_unfinal_gains(owner)[0] >= 0, "trading: owes, only pays in")

    def _check_account_after_trade(
        self,
        owner: str,
        market: int,
        delta: int,
        price: int,
        mark: int,
        only_reduce: bool,
        guards: bool = True,
    ) -> None:
        """Raise RevertError unless an account may hold its position after a trade of `delta` lots.

        A reduced position needs no initial margin. With `guards` False, a mark price far from the index does
        not block the trade: this lets a liquidator take over lots.
        """
        size = self._get_size(owner, market)
        old = size - delta
        if old > 0 > delta >= -old or old < 0 < delta <= -old:
            self._check_reduced(owner, market, size, delta, price, mark)
        else:
            require(not only_reduce, "trading: would not reduce")
            self._check_risk(owner, guards)

    def _check_reduced(self, owner: str, market: int, size: int, delta: int, price: int, mark: int) -> None:
        """Raise RevertError unless a trade that reduces a position leaves the account solvent.

        An account below its maintenance margin must not fall further below it. The trade must not give away
        gains that are not final.
        """
        equity, unfinal = self._compute_equity_and_unfinal_gains(owner)
        require(equity >= 0, "trading: insolvent")
        gained = delta * (mark - price)
        if equity * BASIS_POINTS < self._compute_margins(owner, False)[1]:
            before = self.policy.maintenance(self.address, market, abs(size - delta) * mark)
            relieved = before - self.policy.maintenance(self.address, market, abs(size) * mark)
            require(gained * BASIS_POINTS + relieved >= 0, "trading: margin would fall")
        require(gained >= 0 or equity >= unfinal, "trading: gains are not final")

    def _has_mark_diverged_from_index(self, owner: str) -> bool:
        """Return True if a market of the account lacks an index price or deviates too far from its index."""
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
            require(policy.mode(self.address) < EMERGENCY, "trading: emergency")
        require(not engine.in_settlement(self.address), "trading: in settlement")
        marks = self._mark_markets_of_account(owner)
        require(not marks.silent, "trading: no price for risk")
        require(not (guards and self._has_mark_diverged_from_index(owner)), "trading: mark is off its index")
        equity, unfinal = self._compute_equity_and_unfinal_gains(owner)
        initial, _ = self._compute_margins(owner, True)
        require((equity - unfinal - marks.worse) * BASIS_POINTS >= initial, "trading: initial margin")


def _compute_pot_share(rewarded: tuple[int, int], notional: int) -> int:
    """Return the share of the reward pot for lots worth `notional` [wad], rounded down."""
    pot, everything = rewarded
    return pot * notional // everything if everything else 0


def _compute_fee(notional: int, share: int) -> int:
    """Return the fee of a trade with a notional value [wei], rounded up; `share` is in basis points."""
    return div_up(notional * share, BASIS_POINTS)
