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
    """The contracts that a market works with."""

    vault_engine: str
    margin_policy: str
    stablecoin: str
    trading: str
    fund: str


class Rules(NamedTuple):
    """Constants of a market's rules."""

    window: int  # seconds that a cycle is pending at least
    quiet: int  # seconds after the last booking
    mark_age: int  # seconds, of the oldest report that makes a mark
    third_bond: int  # wad, to each of three who act on an insolvent account


class PerpetualMarket(CycleLosses):
    """See contracts/PerpetualMarket.vy."""

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
        """Pay into an account: nothing stops it."""
        self._credit_payment_as_deposit(owner, amount)
        self.holdings[()] = add_uint256(self.holdings[()], amount)
        self.emit("Deposited", owner, sender, amount)
        self.stablecoin.transferFrom(self.address, sender, self.address, amount)

    @external
    def withdraw(
        self, sender: str, amount: int, receiver: str, owner: str | None = None, least: int = 0
    ) -> int:
        """Withdraw cash; the part above deposits is profit, which the fund holds until it has vested."""
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
        """Hand fees over to the fund."""
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
        """Transfer lots; the payments of both sides that neither receives are insurance."""
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
        """Pay the caller that had insolvent accounts' lots taken over, out of a third of their bonds."""
        self._only_trading_contract(sender)
        self._pay_takeover_reward(finder, amount)
        self.emit("Rewarded", finder, amount)

    @external
    def accrue(self, sender: str, market: int) -> Mark:
        """Update a market's mark and funding; return the mark and its range, 0 without a current price."""
        mark = Mark()
        if not self._has_ended(market):
            mark = self._move_market_to_policy_mark(market)
            if self.paths[market].price != 0:
                self._update_market_funding_rate(market)
        return mark._replace(price=self.paths[market].price)

    # ----------------------------------------------------------------- losses

    @external
    def seize_insolvent(self, sender: str, owner: str) -> None:
        """Take the positions of an account that owes, and book what it lacks of the pending cycle."""
        self._settle_missed_cycles(owner)
        require(self._seize_insolvent(owner, sender), "perpetuals: nothing to do")

    @external
    def update_and_seize(self, sender: str, owners: Sequence[str]) -> int:
        """Update many accounts to now, in order, and seize each that is insolvent; return how many."""
        found = 0
        for owner in owners:
            self._settle_missed_cycles(owner)
            found += self._seize_insolvent(owner, sender)
        return found

    @external
    def update_account(self, sender: str, owner: str) -> None:
        """Settle the past cycles of an account, and close its positions in markets that have ended."""
        self._settle_missed_cycles(owner)

    @external
    def gains_of(self, sender: str, owner: str, market: int) -> Gains:
        """Update an account, and return its gains in the pending cycle and its worth at the cycle's end."""
        self._settle_missed_cycles(owner)
        cycle = self.clocks[()].cycle - 1
        gained = self.get_cycle_gains(owner, market, cycle)
        return Gains(cycle, gained.long, gained.short, self._worth_at_roll(owner))

    @external
    def advance_cycle(self, sender: str) -> None:
        """Make the pending cycle final, the open one pending, and open the next."""
        self._finalise_cycle_and_open_next()

    @external
    def post_shortfall(self, sender: str) -> int:
        """Pay for late losses with insurance, then by the protocol; how much."""
        return self._cover_late_losses_from_fund(0)

    # ---------------------------------------------------------------- the end

    @external
    def end_market(self, sender: str, market: int) -> None:
        """Mark a market that is delisted, or any in settlement, at its final price, for good."""
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
        """Return what an account has at the last marks, as of the cycle that it is in."""
        return self._compute_standing(owner)

    @view
    def account_of(self, sender: str, owner: str) -> Account:
        """Return an account as it was touched last."""
        return cast(Account, self.accounts[owner])

    @view
    def holdings_of(self, sender: str, owner: str) -> tuple[Holding, ...]:
        """Return an account's positions, each with its market's last mark and open lots."""
        return tuple(
            Holding(market, size, self.paths[market].price, self._get_open_lots(market))
            for market in _list_markets_of_bits(self.accounts[owner].markets)
            if (size := self.positions[owner, market].size) != 0
        )

    @view
    def lots_of(self, sender: str, market: int) -> tuple[int, int]:
        """Return the lots that accounts are long, and short; the difference is unassigned."""
        return tuple(self.lots[market])

    @view
    def mark_of(self, sender: str, market: int) -> int:
        """Return a market's last mark [wei a lot]."""
        return int(self.paths[market].price)

    @view
    def clock_of(self, sender: str) -> Clock:
        """Return the open cycle and its times."""
        return cast(Clock, self.clocks[()])

    @view
    def cycle_of(
        self, sender: str, market: int, cycle: int
    ) -> tuple[SideTotals, SideTotals, Values, SideTotals]:
        """Return the gains of a market's sides in a cycle, the losses they absorb, and the cycle's start.

        The start is the value of a lot, and the gain of a lot of each side since the market began.
        """
        gained = SideTotals(*(self.edges[market, cycle, side].gained for side in range(2)))
        key = market, cycle
        return self.totals[key], self.losses[key], self.levels[key], gained

    @view
    def closing_in(self, sender: str) -> int:
        """Return the cycle in which a market ended last, in settlement; 0 is not yet."""
        return int(self.closing[()])

    @view
    def held(self, sender: str) -> int:
        """Return the stablecoin that accounts deposited or others paid [wad]."""
        return int(self.holdings[()])

    @view
    def fees(self, sender: str) -> int:
        """Return what the fund has not collected [wad]."""
        return int(self.fee_table[()])

    @view
    def rewards(self, sender: str) -> int:
        """Return the reward pot for callers that have insolvent accounts' lots taken over [wad]."""
        return int(self.reward_table[()])

    @view
    def late(self, sender: str) -> int:
        """Return the unpaid late losses [wad]."""
        return int(self.late_table[()])

    @view
    def paid_in(self, sender: str, owner: str) -> int:
        """Return deposits less what was withdrawn of them or lost [wad]."""
        return int(self.deposits[owner])

    # ---------------------------------------------------------------- helpers

    def _only_trading_contract(self, sender: str) -> None:
        require(sender == self.trading_address, "perpetuals: not trading")

    def _seize_insolvent(self, owner: str, finder: str) -> bool:
        """Seize the positions of a touched account and book its loss, regardless of other pending work."""
        seized = self._close_positions_of_debtor(owner, finder)
        return self._book_pending_cycle_shortfall(owner, finder) or seized

    def _close_positions_of_debtor(self, owner: str, finder: str) -> bool:
        """Take the positions of an account that owes from it, where there are prices of now."""
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
