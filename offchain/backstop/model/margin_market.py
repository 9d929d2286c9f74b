"""Perpetual markets in the stablecoin, with one margin for all positions of an account.

What one account gains another loses, to the wei: cash of all accounts + fees == held + unpaid losses of all
markets. Amounts in wad, sizes in lots, prices in wei a lot, margins in basis points x wei.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, add, div_up, signed
from backstop.model.interfaces import (
    EMERGENCY,
    FROZEN,
    IERC20,
    LAST,
    LIQUIDATION,
    RISK,
    Frozen,
    IDomain,
    IMarginDeleverager,
    IMarginFund,
    Insolvency,
    IRiskPolicy,
    IVaultEngine,
    Takeover,
)
from backstop.model.margin_book import (
    INTERVAL,
    PERIOD,
    Account,
    Funding,
    Interest,
    MarginBook,
    Position,
    Premium,
    Worth,
)
from backstop.model.state import ZERO_ADDRESS, World, external, immutable, require, slot, view


@slot(8, 32)
class Freeze(NamedTuple):
    """The market that is frozen, and until when (seconds)."""

    market: int = 0
    until: int = 0


class MarginMarket(MarginBook):
    """See contracts/MarginMarket.vy."""

    KIND = "MarginMarket"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    # The zero address if there is none: then there are no modes.
    risk_policy_address = immutable("RISK_POLICY", str)
    stablecoin_address = immutable("STABLECOIN", str)
    margin_orders_address = immutable("MARGIN_ORDERS", str)
    fund_address = immutable("FUND", str)
    deleverager_address = immutable("DELEVERAGER", str)
    # Bears what nobody else does, within its line; the zero address if there is none.
    domain_address = immutable("DOMAIN", str)
    # Basis points of a liquidator's reward that are insurance.
    fee_share = immutable("FEE_SHARE", int)
    # Seconds that a market stays frozen at most.
    freeze_time = immutable("FREEZE_TIME", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        margin_policy: str,
        risk_policy: str,
        stablecoin: str,
        margin_orders: str,
        fund: str,
        deleverager: str,
        domain: str,
        fee_share: int,
        freeze_time: int,
    ) -> None:
        super().__init__(world, name, address, margin_policy)
        require(fee_share <= BASIS_POINTS, "margin_market: fee bounds")
        require(bounds.MIN_FREEZE <= freeze_time <= bounds.MAX_FREEZE, "margin_market: freeze bounds")
        self.vault_engine_address = vault_engine
        self.risk_policy_address = risk_policy
        self.stablecoin_address = stablecoin
        self.margin_orders_address = margin_orders
        self.fund_address = fund
        self.deleverager_address = deleverager
        self.domain_address = domain
        self.fee_share = fee_share
        self.freeze_time = freeze_time
        self.holdings = self.table("held")
        self.fee_table = self.table("fees")
        self.deposits = self.table("paid_in")
        self.freezes = self.table("frozen", Freeze())
        self.closing = self.table("closing_since")

    @property
    def stablecoin(self) -> IERC20:
        return cast(IERC20, self.world.at(self.stablecoin_address))

    @property
    def fund(self) -> IMarginFund:
        return cast(IMarginFund, self.world.at(self.fund_address))

    @property
    def deleverager(self) -> IMarginDeleverager:
        return cast(IMarginDeleverager, self.world.at(self.deleverager_address))

    # ------------------------------------------------------------------- cash

    @external
    def deposit(self, sender: str, owner: str, amount: int) -> None:
        """Pay into an account: nothing stops it."""
        self._remember(owner)
        self._credit(owner, signed(amount))
        self.deposits[owner] = add(self.deposits[owner], amount)
        self.holdings[()] = add(self.holdings[()], amount)
        self.emit("Deposited", owner, sender, amount)
        self.stablecoin.transferFrom(self.address, sender, self.address, amount)

    @external
    def withdraw(self, sender: str, amount: int, receiver: str) -> None:
        """Take cash out; what goes beyond deposits is profit, which the fund holds until it has vested."""
        account: Account = self.accounts[sender]
        account = account._replace(cash=account.cash - signed(amount))
        self._store_account(sender, account)
        paid = amount
        if account.markets == 0:
            require(account.cash >= 0, "margin_market: more than it has")
            if self.closing[()] != 0:
                paid = self._final_share(amount)
        else:
            for market in range(bounds.MAX_MARGIN_MARKETS):
                if account.markets >> market & 1:
                    require(not self._is_frozen(market), "margin_market: withdrawals wait")
                    require(self.interests[market].unpaid == 0, "margin_market: unpaid losses")
            self._check_mode()
            self._check_initial(sender)
        self._check_reserved(sender)
        require(paid <= self._free(), "margin_market: not held")
        own = min(paid, self.deposits[sender])
        profit = paid - own
        self.deposits[sender] = self.deposits[sender] - own
        self.holdings[()] = self.holdings[()] - paid
        self.emit("Withdrawn", sender, receiver, amount, profit)
        if own != 0:
            self.stablecoin.transfer(self.address, receiver, own)
        if profit != 0:
            self.stablecoin.transfer(self.address, self.fund_address, profit)
            self.fund.lock(self.address, receiver, profit)

    @external
    def sweep(self, sender: str) -> None:
        """Hand fees over to the fund."""
        self._sweep()

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
        require(sender == self.margin_orders_address, "margin_market: not orders")
        require(self.closing[()] == 0, "margin_market: prices are final")
        require(market < self.policy.markets(self.address), "margin_market: unknown market")
        require(0 < price <= bounds.MAX_LOT_PRICE, "margin_market: price bounds")
        listed = not self._frozen_now() or self.frozen_prices[market].price != 0
        require(listed, "margin_market: listing waits")
        self._remember(maker)
        self._remember(taker)
        at = price - self._accrue(market)
        over = self._note_premium(market, abs(delta), price)
        before = self.interests[market].open
        for owner, lots in ((maker, delta), (taker, -delta)):
            gain = self._trade(owner, market, lots, at)
            if gain > 0:
                self._cut(owner, market, gain)
        if over != 0:
            self._charge(taker if (over > 0) == (delta > 0) else maker, abs(delta * over))
        limit = self.policy.open_limit(self.address, market)
        require(self.interests[market].open <= max(before, limit), "margin_market: open limit")
        self._check_side(maker, market, delta, price, maker_reduces)
        self._check_side(taker, market, -delta, price, taker_reduces)

    @external
    def accrue(self, sender: str, market: int) -> None:
        """Bring a market's funding up to now."""
        require(market < self.policy.markets(self.address), "margin_market: no such market")
        self._accrue(market)

    # ------------------------------------------------------------ liquidation

    @external
    def liquidate(self, sender: str, owner: str, market: int, lots: int) -> int:
        """Take over lots of an account that is under its maintenance margin; the reward."""
        require(owner != sender, "margin_market: own account")
        require(self.closing[()] == 0, "margin_market: is closing")
        require(not self._is_frozen(market), "margin_market: market is frozen")
        size = self.positions[owner, market].size
        require(0 < lots <= abs(size), "margin_market: not so many lots")
        worth = self._worth(owner, self.accounts[owner], LIQUIDATION)
        require(worth.equity >= 0, "margin_market: bankrupt account")
        require(worth.equity * BASIS_POINTS < worth.maintenance, "margin_market: safe account")

        index = self._accrue(market)
        price = self._price(market, LIQUIDATION)
        reward = self.policy.reward(
            self.address,
            Takeover(market, abs(size), lots, price, worth.equity, worth.initial, worth.maintenance),
        )
        fee = reward * self.fee_share // BASIS_POINTS
        delta = -lots if size > 0 else lots
        self._remember(owner)
        self._remember(sender)
        self._trade(owner, market, delta, price - index)
        self._trade(sender, market, -delta, price - index)
        self._credit(owner, -reward)
        self._credit(sender, reward - fee)
        self.fee_table[()] = self.fee_table[()] + fee
        if self._reduces(sender, market, -delta):
            self._check_reduced(sender, market, -delta, price)
        else:
            self._check_initial(sender)
        self._check_reserved(owner)
        self._check_reserved(sender)
        self.emit("Liquidated", owner, sender, market, lots, price, reward, fee)
        return reward

    # ----------------------------------------------------------- deleveraging

    @external
    def freeze(self, sender: str, owner: str, market: int) -> Insolvency:
        """Have the fund pay for an insolvent account; if it cannot pay all, freeze a market of it."""
        self._only_deleverager(sender)
        require(self.closing[()] == 0, "margin_market: closes already")
        require(not self._frozen_now(), "margin_market: frozen already")
        worth = self._worth(owner, self.accounts[owner], LIQUIDATION)
        require(worth.equity < 0, "margin_market: solvent account")
        size = self.positions[owner, market].size
        require(size != 0, "margin_market: no position")
        loss = -worth.equity
        self._sweep()
        paid = self.fund.absorb(self.address, loss)
        self.holdings[()] = self.holdings[()] + paid
        self._credit(owner, paid)
        self.emit("LossCovered", owner, loss, paid)
        if paid == loss:
            return Insolvency()

        self._accrue(market)
        self._freeze_prices()
        notional = abs(size) * self._price(market, LIQUIDATION)
        until = self.world.timestamp + self.freeze_time
        self.freezes[()] = Freeze(market, until)
        interest: Interest = self.interests[market]
        return Insolvency(
            lots=abs(size),
            long=size > 0,
            loss=div_up((loss - paid) * notional, worth.notional),
            others=interest.shorts if size > 0 else interest.longs,
            until=until,
        )

    @external
    def deleverage(self, sender: str, owner: str, winner: str, lots: int, payment: int) -> tuple[int, int]:
        """Close lots of an insolvent position against a winner's, and have the winner pay; both as done."""
        self._only_deleverager(sender)
        require(self._frozen_now(), "margin_market: freeze is over")
        market = self.freezes[()].market
        mine, against = self.positions[owner, market].size, self.positions[winner, market].size
        # Either may have reduced meanwhile.
        closed = min(signed(lots), abs(mine), abs(against)) if mine * against < 0 else 0
        if closed != 0:
            price, index = self.frozen_prices[market]
            delta = -closed if mine > 0 else closed
            self._trade(owner, market, delta, price - index)
            self._trade(winner, market, -delta, price - index)
        missing, left = -self._frozen_of(owner).equity, self._frozen_of(winner).equity
        paid = max(0, min(signed(payment), missing, left))
        self._credit(owner, paid)
        self._credit(winner, -paid)
        self._add_cost(winner, market, paid)
        return closed, paid

    @external
    def finish(self, sender: str, owner: str, unpaid: int) -> None:
        """End a freeze: what no gain could pay is the market's unpaid loss."""
        self._only_deleverager(sender)
        freeze: Freeze = self.freezes[()]
        left = max(0, min(signed(unpaid), -self._frozen_of(owner).equity))
        self._credit(owner, left)
        interest: Interest = self.interests[freeze.market]
        self._store_interest(freeze.market, interest._replace(unpaid=interest.unpaid + left))
        self.freezes[()] = freeze._replace(until=0)
        self.emit("LossLeft", owner, freeze.market, left)

    @external
    def post_shortfall(self, sender: str, market: int) -> int:
        """Have the protocol bear a market's unpaid loss, as far as its line allows; how much."""
        interest: Interest = self.interests[market]
        posts = interest.unpaid != 0 and self.domain_address != ZERO_ADDRESS
        require(posts, "margin_market: nothing to post")
        domain = cast(IDomain, self.world.at(self.domain_address))
        posted = domain.lose(self.address, interest.unpaid, self.address)
        self._store_interest(market, interest._replace(unpaid=interest.unpaid - posted))
        self.holdings[()] = self.holdings[()] + posted
        self.emit("ShortfallPosted", market, posted)
        return posted

    # ------------------------------------------------------------- settlement

    @external
    def begin_close(self, sender: str) -> None:
        """Make the last prices final, in settlement of the protocol."""
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        require(engine.in_settlement(self.address), "margin_market: no settlement")
        require(self.closing[()] == 0, "margin_market: closes once")
        require(not self._frozen_now(), "margin_market: freeze first")
        self._freeze_prices()
        self.closing[()] = self.world.timestamp
        self.emit("ClosingBegun", self.world.timestamp)

    @external
    def close_out(self, sender: str, long: str, short: str, market: int, lots: int) -> None:
        """Close lots of a long against those of a short, at the final price."""
        require(self.closing[()] != 0, "margin_market: not closing")
        price, index = self.frozen_prices[market]
        signed(lots)
        there = self.positions[long, market].size >= lots and self.positions[short, market].size <= -lots
        require(there, "margin_market: not that many")
        self._trade(long, market, -lots, price - index)
        self._trade(short, market, lots, price - index)
        for owner in (long, short):
            self._leave_unpaid(owner, market)
        self.emit("ClosedOut", long, short, market, lots)

    # ------------------------------------------------------------------ views

    @view
    def frozen_of(self, sender: str, owner: str) -> Frozen:
        """Return an account and its position in the frozen market, as they are, at frozen prices."""
        return self._frozen_of(owner)

    @view
    def worth_of(self, sender: str, owner: str, kind: int) -> Worth:
        """Return what an account is worth, and the margin that it needs, at prices of a kind."""
        return self._worth(owner, self.accounts[owner], kind)

    @view
    def account_of(self, sender: str, owner: str) -> Account:
        """Return an account's cash [wei], and its markets by bits."""
        return cast(Account, self.accounts[owner])

    @view
    def position_of(self, sender: str, owner: str, market: int) -> Position:
        """Size and cost."""
        return cast(Position, self.positions[owner, market])

    @view
    def interest_of(self, sender: str, market: int) -> Interest:
        """Return how many accounts are in a market, what is open, what is unpaid."""
        return cast(Interest, self.interests[market])

    @view
    def funding_of(self, sender: str, market: int) -> Funding:
        """Index and rate, as of the last change."""
        return cast(Funding, self.fundings[market])

    @view
    def premium_of(self, sender: str, market: int) -> Premium:
        """Return the trades that the next rate follows from."""
        return cast(Premium, self.premiums[market])

    @view
    def freeze_of(self, sender: str) -> Freeze:
        """Return the last freeze; it is over once its time is."""
        return cast(Freeze, self.freezes[()])

    @view
    def closing_since(self, sender: str) -> int:
        """Return when the prices became final, in settlement [seconds]; 0 is not yet."""
        return int(self.closing[()])

    @view
    def held(self, sender: str) -> int:
        """Return the stablecoin that accounts brought in or the fund paid [wad]."""
        return int(self.holdings[()])

    @view
    def fees(self, sender: str) -> int:
        """Return what the fund has not collected of it [wad]."""
        return int(self.fee_table[()])

    @view
    def paid_in(self, sender: str, owner: str) -> int:
        """Deposits less what was withdrawn of them."""
        return int(self.deposits[owner])

    # ---------------------------------------------------------------- helpers

    def _charge(self, owner: str, premium: int) -> None:
        """Charge for a premium: at least what it has one side pay the other in an interval."""
        fee = div_up(premium * INTERVAL, PERIOD)
        self._credit(owner, -fee)
        self.fee_table[()] = self.fee_table[()] + fee

    def _check_side(self, owner: str, market: int, delta: int, price: int, only_reduce: bool) -> None:
        """Revert unless an account may do what it has just done."""
        if self._reduces(owner, market, delta):
            self._check_reduced(owner, market, delta, price)
        else:
            require(not only_reduce, "margin_market: would not reduce")
            require(not self._is_frozen(market), "margin_market: only reduce now")
            self._check_mode()
            self._check_initial(owner)
        self._check_reserved(owner)

    def _reduces(self, owner: str, market: int, delta: int) -> bool:
        """Tell whether a trade that was just made took lots off a position, and no more than it had."""
        old = int(self.positions[owner, market].size) - delta
        return old > 0 > delta >= -old or old < 0 < delta <= -old

    def _check_initial(self, owner: str) -> None:
        worth = self._worth(owner, self.accounts[owner], RISK)
        require(worth.equity * BASIS_POINTS >= worth.initial, "margin_market: initial margin")

    def _check_reduced(self, owner: str, market: int, delta: int, price: int) -> None:
        """Solvent, and no further below its maintenance margin than it was, cuts of its gain aside."""
        worth = self._worth(owner, self.accounts[owner], LAST)
        require(worth.equity >= 0, "margin_market: insolvent")
        if worth.equity * BASIS_POINTS < worth.maintenance:
            last, size = self._price(market, LAST), self.positions[owner, market].size
            needed = self.policy.maintenance(self.address, market, abs(size - delta) * last)
            relieved = needed - self.policy.maintenance(self.address, market, abs(size) * last)
            gained = delta * (last - price) * BASIS_POINTS
            require(gained + relieved >= 0, "margin_market: margin would fall")

    def _check_reserved(self, owner: str) -> None:
        """Keep a gain that may have to pay in its account while a market is frozen."""
        if self._frozen_now():
            gain = self.deleverager.reserved_of(self.address, owner)
            require(self._frozen_of(owner).equity >= gain, "margin_market: gain is reserved")

    def _check_mode(self) -> None:
        if self.risk_policy_address != ZERO_ADDRESS:
            ledger = cast(IVaultEngine, self.world.at(self.vault_engine_address))
            today = ledger.risk_policy(self.address)
            policy = cast(IRiskPolicy, self.world.at(today))
            require(policy.mode(self.address) < EMERGENCY, "margin_market: emergency")
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        require(not engine.in_settlement(self.address), "margin_market: in settlement")

    def _remember(self, owner: str) -> None:
        """Before an account changes in a freeze, have the deleverager keep what it was."""
        if self._frozen_now():
            self.deleverager.remember(self.address, owner)

    def _frozen_of(self, owner: str) -> Frozen:
        market = self.freezes[()].market
        position: Position = self.positions[owner, market]
        worth = self._worth(owner, self.accounts[owner], FROZEN)
        price, index = self.frozen_prices[market]
        gain = position.size * (price - index) - position.cost
        return Frozen(position.size, gain, worth.equity, worth.notional)

    def _leave_unpaid(self, owner: str, market: int) -> None:
        """Book what an account without positions owes as an unpaid loss."""
        account: Account = self.accounts[owner]
        if account.markets == 0 and account.cash < 0:
            interest: Interest = self.interests[market]
            self._store_interest(market, interest._replace(unpaid=interest.unpaid - account.cash))
            self.emit("LossLeft", owner, market, -account.cash)
            self.accounts[owner] = account._replace(cash=0)

    def _final_share(self, amount: int) -> int:
        """Return what is held for an amount of cash; the rest of it is of the unpaid losses."""
        markets = range(bounds.MAX_MARGIN_MARKETS)
        require(not any(self.interests[m].open for m in markets), "margin_market: still open")
        unpaid = sum(self.interests[m].unpaid for m in markets)
        if unpaid == 0:
            return amount
        available = self._free()
        paid = int(amount * available // (available + unpaid))
        rest = amount - paid
        for m in markets:
            interest: Interest = self.interests[m]
            borne = min(rest, interest.unpaid)
            rest -= borne
            self._store_interest(m, interest._replace(unpaid=interest.unpaid - borne))
        return paid

    def _free(self) -> int:
        """Return what is held beyond fees [wad]."""
        return int(max(0, self.holdings[()] - self.fee_table[()]))

    def _sweep(self) -> None:
        amount = min(self.fee_table[()], self.holdings[()])
        if amount != 0:
            self.fee_table[()] = self.fee_table[()] - amount
            self.holdings[()] = self.holdings[()] - amount
            self.stablecoin.transfer(self.address, self.fund_address, amount)
            self.fund.add_fees(self.address, amount)

    def _only_deleverager(self, sender: str) -> None:
        require(sender == self.deleverager_address, "margin_market: not deleverager")

    def _frozen_now(self) -> bool:
        return bool(self.world.timestamp <= self.freezes[()].until)

    def _is_frozen(self, market: int) -> bool:
        return self._frozen_now() and bool(self.freezes[()].market == market)
