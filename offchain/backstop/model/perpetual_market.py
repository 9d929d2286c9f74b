"""Perpetual markets in the stablecoin: accounts that gained from a price move absorb its losses.

Cash of all accounts and values of all positions + bonds + pot + fees == held + late, to the wei. Amounts in
wad, sizes in lots, prices in wei a lot, margins in basis points x wei.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from backstop.contract_base import World, external, immutable, require, view
from backstop.model import bounds
from backstop.model.account_owner import is_own_or_subaccount
from backstop.model.arithmetic import add_uint256, check_signed
from backstop.model.cycle_book import SEIZED, Account, _list_markets_of_bits
from backstop.model.cycle_losses import CycleLosses
from backstop.model.interfaces import (
    Clock,
    Gains,
    Holding,
    IPerpetualTrading,
    IVaultEngine,
    Mark,
    SideTotals,
    Standing,
    Values,
)
from backstop.model.price_path import compute_range_gain


class Wiring(NamedTuple):
    """Addresses of the contracts that a perpetual market calls."""

    vault_engine: str
    margin_policy: str
    stablecoin: str
    trading: str
    fund: str


class Rules(NamedTuple):
    """Constants of a perpetual market, fixed at deployment."""

    window: int  # seconds that a cycle is pending at least
    quiet: int  # seconds after the last booking
    mark_age: int  # seconds, of the oldest report that makes a mark
    third_bond: int  # wad, to each of three who act on an insolvent account


class PerpetualMarket(CycleLosses):
    """Perpetual futures markets settled in stablecoin (model of contracts/PerpetualMarket.vy).

    Accounts that gained in a cycle absorb the losses of insolvent accounts, pro rata to their gains.
    """

    KIND = "PerpetualMarket"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    # Knows who may trade, and at what.
    trading_address = immutable("TRADING", str)

    def __init__(self, world: World, name: str, address: str, wiring: Wiring, rules: Rules) -> None:
        wired, terms = Wiring(*wiring), Rules(*rules)
        super().__init__(
            world,
            name,
            address,
            wired.margin_policy,
            terms.mark_age,
            terms.third_bond,
            wired.stablecoin,
            wired.fund,
            terms.window,
            terms.quiet,
        )
        require(0 < terms.mark_age <= bounds.MAX_MARK_AGE, "perpetuals: mark bounds")
        require(terms.third_bond <= bounds.MAX_THIRD_BOND, "perpetuals: bond bounds")
        self.vault_engine_address = wired.vault_engine
        self.trading_address = wired.trading
        self.closing = self.table("closing_in")

    @property
    def trading(self) -> IPerpetualTrading:
        return cast(IPerpetualTrading, self.world.at(self.trading_address))

    # ------------------------------------------------------------------- cash

    @external
    def deposit(self, sender: str, owner: str, amount: int) -> None:
        """Transfer stablecoin from the caller into the account `owner` [wad].

        Deposits are accepted at any time, also while losses are open and in settlement.
        """
        self._credit_payment_as_deposit(owner, amount)
        self.holdings[()] = add_uint256(self.holdings[()], amount)
        self.emit("Deposited", owner, sender, amount)
        self.stablecoin.transferFrom(self.address, sender, self.address, amount)

    @external
    def withdraw(
        self, sender: str, amount: int, receiver: str, owner: str | None = None, least: int = 0
    ) -> int:
        """Withdraw cash from an account and return the amount paid [wad].

        The caller must own the account. The part above the account's deposits is profit: the fund holds it
        until it has vested. If losses are unpaid that no gain absorbed, `amount` is reduced pro rata to the
        stablecoin held. Raises RevertError if less than `least` is paid or the remaining margin is too low.
        """
        owner = owner or sender
        require(is_own_or_subaccount(self.world, owner, sender), "perpetuals: not its owner")
        self._settle_missed_cycles(owner)
        if self.closing[()] != 0:
            require(self.clocks[()].cycle >= self.closing[()] + 2, "perpetuals: losses are open")
        self._book_deposit_or_withdrawal(owner, -check_signed(amount))
        if self._has_lots(owner):
            self.trading.check_risk(self.address, owner)
        else:
            found = self._compute_standing(owner)
            require(found.own - found.haircut >= found.unfinal, "perpetuals: more than it has")
        self._cover_late_losses_from_fund(0)
        available = self.holdings[()] - min(self.holdings[()], self.fee_table[()])
        late = self.late_table[()]
        paid = amount * available // (available + late) if late else amount
        # Accounts that owe the rest may not be closed yet, and nothing of it is late.
        require(amount <= available + late and least <= paid, "perpetuals: not held")
        self.late_table[()] = late - (amount - paid)
        own = min(paid, self.deposits[owner])
        self.deposits[owner] = self.deposits[owner] - own
        self.holdings[()] = self.holdings[()] - paid
        self.emit("Withdrawn", owner, receiver, amount, own, paid - own)
        if own != 0:
            self.stablecoin.transfer(self.address, receiver, own)
        if paid != own:
            self.stablecoin.transfer(self.address, self.fund_address, paid - own)
            self.fund.lock(self.address, receiver, paid - own)
        return int(paid)

    @external
    def collect_fees(self, sender: str) -> None:
        """Transfer all uncollected trading fees to the margin fund."""
        self._sweep_fees()

    # ----------------------------------------------------------------- trades

    @external
    def execute_trade(
        self,
        sender: str,
        market: int,
        buyer: str,
        seller: str,
        delta: int,
        price: int,
        buyer_gets: int,
        seller_gets: int,
    ) -> None:
        """Move `delta` lots of a market from seller to buyer at a price [wei a lot].

        `buyer_gets` and `seller_gets` change the accounts' cash [wei]. Their sum must not be positive, and
        the difference is booked as fees. A seller equal to this contract's address means unassigned lots
        (seized from insolvent accounts). Only the trading contract may call.
        """
        self._only_trading_contract(sender)
        require(not self._has_ended(market), "perpetuals: price is final")
        self._settle_missed_cycles(buyer)
        if seller != self.address:
            self._settle_missed_cycles(seller)
        self._update_market_funding_rate(market)
        off = price - self.paths[market].price
        self._trade_lots(buyer, market, delta, off)
        # Lots that are nobody's come from the market itself.
        if seller != self.address:
            self._trade_lots(seller, market, -delta, off)
        self._note_premium(market, abs(delta), price)
        require(buyer_gets + seller_gets <= 0, "perpetuals: more than is paid")
        self._change_account_cash(buyer, buyer_gets)
        self._change_account_cash(seller, seller_gets)
        self.fee_table[()] = self.fee_table[()] - buyer_gets - seller_gets

    @external
    def reward(self, sender: str, finder: str, amount: int) -> None:
        """Pay `finder` from the pot of bonds for having insolvent accounts' lots taken over [wad].

        The pot holds one third of each insolvent account's bond. Only the trading contract may call.
        """
        self._only_trading_contract(sender)
        self._pay_takeover_reward(finder, amount)
        self.emit("Rewarded", finder, amount)

    @external
    def accrue(self, sender: str, market: int) -> Mark:
        """Update the mark price and funding of a market and return the mark price with its range.

        The price is the last mark price. The ends of the range are 0 if no current price exists.
        """
        mark = Mark()
        if not self._has_ended(market):
            mark = self._move_market_to_policy_mark(market)
            if self.paths[market].price != 0:
                self._update_market_funding_rate(market)
        return mark._replace(price=self.paths[market].price)

    # ----------------------------------------------------------------- losses

    @external
    def seize_insolvent(self, sender: str, owner: str) -> None:
        """Seize an insolvent account's positions and book its shortfall, which accounts with gains pay.

        The shortfall is that of the pending cycle (the last period, not yet final). Raises RevertError if
        there is nothing to seize or book.
        """
        self._settle_missed_cycles(owner)
        require(self._seize_insolvent(owner, sender), "perpetuals: nothing to do")

    @external
    def update_and_seize(self, sender: str, owners: Sequence[str]) -> int:
        """Settle the accounts' past cycles in order, seize insolvent accounts and return their number."""
        found = 0
        for owner in owners:
            self._settle_missed_cycles(owner)
            found += self._seize_insolvent(owner, sender)
        return found

    @external
    def update_account(self, sender: str, owner: str) -> None:
        """Settle an account's past cycles and close its positions in markets that have ended."""
        self._settle_missed_cycles(owner)

    @external
    def gains_of(self, sender: str, owner: str, market: int) -> Gains:
        """Update an account and return its gains per side in a market in the pending cycle [wei].

        The pending cycle is the last period, not yet final. The result also holds its number and the
        account's worth at its end [wei].
        """
        self._settle_missed_cycles(owner)
        cycle = self.clocks[()].cycle - 1
        gained = self.get_cycle_gains(owner, market, cycle)
        return Gains(cycle, gained.long, gained.short, self._worth_at_roll(owner))

    @external
    def advance_cycle(self, sender: str) -> None:
        """Start a new cycle: the pending cycle becomes final, and the open cycle becomes pending.

        A cycle is a period for which gains absorb losses. The losses of a pending cycle are still being
        booked.
        """
        self._finalise_cycle_and_open_next()

    @external
    def post_shortfall(self, sender: str) -> int:
        """Pay late losses (losses of final cycles that no gain absorbed) and return the amount paid [wad].

        The payers are profits that have not vested, then insurance, then the protocol.
        """
        return self._cover_late_losses_from_fund(0)

    # ---------------------------------------------------------------- the end

    @external
    def end_market(self, sender: str, market: int) -> None:
        """End a market permanently at its final price.

        The policy gives the final price of a delisted market, and of every market in settlement. Raises
        RevertError if the market has already ended or has no final price.
        """
        require(not self._has_ended(market), "perpetuals: ends once")
        price = self.policy.final_price(self.address, market)
        require(price != 0, "perpetuals: no final price")
        self._end_market_at_price(market, price)
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        if engine.in_settlement(self.address):
            self.closing[()] = self.clocks[()].cycle
            self._move_unpaid_rewards_to_insurance()
        self.emit("MarketEnded", market, price)

    # ------------------------------------------------------------------ views

    @view
    def standing_of(self, sender: str, owner: str) -> Standing:
        """Return an account's equity, known haircuts and gains not yet final, at the last mark prices [wei].

        A haircut is the part of a gain that pays others' losses. The account is not updated first: the values
        belong to the period (cycle) of its last update.
        """
        return self._compute_standing(owner)

    @view
    def account_of(self, sender: str, owner: str) -> Account:
        """Return the stored record of an account, as of its last update."""
        return cast(Account, self.accounts[owner])

    @view
    def holdings_of(self, sender: str, owner: str) -> tuple[Holding, ...]:
        """Return an account's open positions, with the last mark price and open lots of each market."""
        return tuple(
            Holding(market, size, self.paths[market].price, self._get_open_lots(market))
            for market in _list_markets_of_bits(self.accounts[owner].markets)
            if (size := self.positions[owner, market].size) != 0
        )

    @view
    def lots_of(self, sender: str, market: int) -> tuple[int, int]:
        """Return the lots of a market that accounts hold long and short.

        The difference of the two numbers is unassigned: these lots were seized from insolvent accounts.
        """
        return tuple(self.lots[market])

    @view
    def mark_of(self, sender: str, market: int) -> int:
        """Return the last mark price of a market [wei a lot]."""
        return int(self.paths[market].price)

    @view
    def clock_of(self, sender: str) -> Clock:
        """Return number and start of the open cycle, its last booking of a loss, and the ended markets."""
        return cast(Clock, self.clocks[()])

    @view
    def cycle_of(
        self, sender: str, market: int, cycle: int
    ) -> tuple[SideTotals, SideTotals, Values, SideTotals]:
        """Return the gains of each side of a market in a cycle, the losses charged to them, and start values.

        The first two are totals of the long and the short side [wei]. The third is the value of a long and a
        short lot at the start of the cycle; the fourth is the gain of a lot of each side from the market's
        beginning until then [wei].
        """
        gained = SideTotals(*(self.edges[market, cycle, side].gained for side in range(2)))
        key = market, cycle
        return self.totals[key], self.losses[key], self.levels[key], gained

    @view
    def closing_in(self, sender: str) -> int:
        """Return the number of the cycle in which a market last ended in settlement; 0 if none has."""
        return int(self.closing[()])

    @view
    def held(self, sender: str) -> int:
        """Return the stablecoin that the market holds: deposits and payments, less withdrawals [wad]."""
        return int(self.holdings[()])

    @view
    def fees(self, sender: str) -> int:
        """Return the trading fees that the margin fund has not collected yet [wad]."""
        return int(self.fee_table[()])

    @view
    def rewards(self, sender: str) -> int:
        """Return the reward pot for callers that have insolvent accounts' lots taken over [wad]."""
        return int(self.reward_table[()])

    @view
    def late(self, sender: str) -> int:
        """Return the unpaid losses of final cycles that no gain absorbed [wad]."""
        return int(self.late_table[()])

    @view
    def paid_in(self, sender: str, owner: str) -> int:
        """Return an account's deposits, less the part of them that was withdrawn or lost [wad]."""
        return int(self.deposits[owner])

    # ---------------------------------------------------------------- helpers

    def _only_trading_contract(self, sender: str) -> None:
        require(sender == self.trading_address, "perpetuals: not trading")

    def _seize_insolvent(self, owner: str, finder: str) -> bool:
        """Seize an updated account's positions, book its shortfall, and return True if anything changed."""
        seized = self._close_positions_of_debtor(owner, finder)
        return self._book_pending_cycle_shortfall(owner, finder) or seized

    def _close_positions_of_debtor(self, owner: str, finder: str) -> bool:
        """Seize the positions of an insolvent account in all markets with a current price.

        Return True if positions were seized. An account is insolvent if its equity is below its haircuts,
        even at the better end of the price range.
        """
        fresh = better = 0
        for market in _list_markets_of_bits(self.accounts[owner].markets):
            size = self.positions[owner, market].size
            mark = self._move_market_to_policy_mark(market) if size != 0 else Mark()
            if mark.price:
                fresh |= 1 << market
                better += compute_range_gain(mark, size)
        found = self._compute_standing(owner)
        if not fresh or found.own + better >= found.haircut:
            return False
        self._close_positions_at_marks(owner, fresh)
        self._pay_finder(owner, SEIZED, finder, 0)
        self.emit("Seized", owner, finder)
        return True
