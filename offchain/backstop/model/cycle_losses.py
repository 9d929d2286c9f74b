"""Absorption of a cycle's losses by the accounts that gained in it, each by the same share of its gain.

While a cycle is pending, an account's shortfall at its end is booked against gains, as often as it has grown:
those of the markets and sides that the account can have lost to. Its own haircuts are part of that shortfall.
Then the cycle is final: insurance takes the same share off all losses, and the part that no gain absorbs is
late. Late losses are paid at once: by profits that have not vested, then by insurance, then by the protocol
within its line; gains of later cycles pay only the remainder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from backstop.contract_base import World, immutable, require
from backstop.model import bounds
from backstop.model.arithmetic import split_by_cumulative_weights
from backstop.model.cycle_book import BOOKED, PART, CycleBook, Pending, _list_markets_of_bits
from backstop.model.interfaces import IERC20, Clock, IMarginFund, SideTotals


class CycleLosses(CycleBook):
    """Rules by which accounts that gained in a cycle pay the cycle's losses pro rata.

    Model of contracts/modules/cycle_losses.vy.
    """

    stablecoin_address = immutable("STABLECOIN", str)
    fund_address = immutable("FUND", str)
    # Seconds: how long a cycle is pending at least; how long after the last booking, up to four windows.
    window = immutable("WINDOW", int)
    quiet = immutable("QUIET", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        margin_policy: str,
        mark_age: int,
        third_bond: int,
        stablecoin: str,
        fund: str,
        window: int,
        quiet: int,
    ) -> None:
        super().__init__(world, name, address, margin_policy, mark_age, third_bond)
        fits = bounds.MIN_CYCLE <= window <= bounds.MAX_CYCLE and quiet <= window
        require(fits, "cycle_losses: window bounds")
        self.stablecoin_address = stablecoin
        self.fund_address = fund
        self.window = window
        self.quiet = quiet
        self.holdings = self.table("cycle_losses.held")
        # What nobody has paid, and what of it later gains pay from the next roll on.
        self.late_table = self.table("cycle_losses.late")
        self.overdue = self.table("cycle_losses.overdue")

    @property
    def stablecoin(self) -> IERC20:
        return cast(IERC20, self.world.at(self.stablecoin_address))

    @property
    def fund(self) -> IMarginFund:
        return cast(IMarginFund, self.world.at(self.fund_address))

    # ---------------------------------------------------------------- booking

    def _book_pending_cycle_shortfall(self, owner: str, finder: str) -> bool:
        """Book an account's shortfall in the pending cycle against gains; return True if it changed.

        The pending cycle has ended but is not final. The finder is paid a third of the account's bond once,
        and an amount that grows with the time the cycle has been pending. This limit holds for all bookings
        of the account together. One payment is at most the new part of the shortfall [wad], rounded down. The
        account pays it, so its shortfall grows by the same amount.
        """
        clock: Clock = self.clocks[()]
        markets = _list_markets_of_bits(self.accounts[owner].markets)
        haircut = self._compute_pending_haircut_amount(owner, self.accounts[owner].markets)
        lacks = max(0, haircut - max(self.worths[owner].value, self._compute_account_value_at_marks(owner)))
        shares = [self._compute_largest_possible_loss(owner, market) for market in markets]
        everything = sum(shares)
        noted = self.late_of[owner]
        had = noted + sum(self.pendings[owner, market].booked for market in markets)
        pending = min(self.world.timestamp - clock.rolled_at, 4 * self.window)
        paid = self.accounts[owner].paid
        grown = bounds.BOOKING_PAY * self.third_bond * pending // self.window // PART
        parts = min(max(0, grown - paid), max(lacks, had) // PART - had // PART)
        lacks += parts * PART
        # What was noted may have been paid meanwhile: it never shrinks, and what is too much is insurance.
        late = max(noted, lacks - everything)
        borne = min(everything, max(0, lacks - late))
        changed = False
        for market, part in zip(markets, split_by_cumulative_weights(borne, shares), strict=True):
            noted_in: Pending = self.pendings[owner, market]
            if part != noted_in.booked:
                changed = True
                lost = self.get_cycle_losses(owner, market, clock.cycle - 1)
                before, now = (
                    split_loss_by_winning_side(noted_in.booked, lost),
                    split_loss_by_winning_side(part, lost),
                )
                losses: SideTotals = self.losses[market, clock.cycle - 1]
                self.losses[market, clock.cycle - 1] = SideTotals(
                    losses.long + now.long - before.long, losses.short + now.short - before.short
                )
                self.pendings[owner, market] = noted_in._replace(booked=part)
        if late != noted:
            changed = True
            self.late_table[()] = self.late_table[()] + late - noted
            self._change_pot(late - noted)
            self.late_of[owner] = late
        if changed:
            self.clocks[()] = clock._replace(booked_at=self.world.timestamp)
            self.emit("Booked", owner, clock.cycle - 1, lacks, late)
            self._pay_finder(owner, BOOKED, finder, parts)
        if late != noted:
            self._cover_late_losses_from_fund(late - noted)
        return changed

    def _compute_largest_possible_loss(self, owner: str, market: int) -> int:
        """Return the most that an account can have lost in a market in the last ended cycle [wei]."""
        lost = self.get_cycle_losses(owner, market, self.accounts[owner].cycle - 1)
        most = self._compute_market_haircut(owner, market) - self.pendings[owner, market].net
        return int(min(sum(lost), max(0, most)))

    # ---------------------------------------------------------------- rolling

    def _finalise_cycle_and_open_next(self) -> None:
        """Make the pending cycle final, close the open cycle, and open the next one.

        The closed cycle becomes pending, until its losses are known. Reverts before the pending time and the
        time since the last booked loss are over.
        """
        clock: Clock = self.clocks[()]
        now = self.world.timestamp
        # All of them where the policy does not say.
        markets = min(
            self._ask_policy_number(lambda: self.policy.markets(self.address)), bounds.MAX_MARGIN_MARKETS
        )
        waited = now >= clock.rolled_at + self.window and now >= clock.booked_at + self.quiet
        require(waited or now >= clock.rolled_at + 4 * self.window, "cycle_losses: too early")
        insured = later = 0
        lossy = clock.lossy
        self._sweep_fees()
        self._cover_late_losses_from_fund(self.late_table[()])
        if clock.booked_at != 0:
            insured = self._pay_losses_from_insurance(clock.cycle - 1, markets)
        if self.late_table[()] != 0:
            later = self._charge_late_losses_to_gains(clock.cycle - 1, markets)
        if clock.booked_at != 0 or later != 0:
            self._index_lossy_cycle_haircuts(lossy, clock.cycle - 1, markets)
            lossy += 1
        self.overdue[()] = self.late_table[()]
        for market in range(markets):
            self._record_cycle_start(market, clock.cycle + 1)
        self.clocks[()] = Clock(clock.cycle + 1, now, 0, lossy, clock.ended)
        self.emit("Rolled", clock.cycle, insured, later)

    def _pay_losses_from_insurance(self, cycle: int, market_count: int) -> int:
        """Reduce a cycle's losses pro rata by payment from the insurance fund, and return it [wad]."""
        paid, parts = self.fund.cover(self.address, cycle, market_count)
        self.holdings[()] = self.holdings[()] + paid
        self._change_cycle_loss_totals(cycle, -paid, parts)
        return paid

    def _cover_late_losses_from_fund(self, most: int) -> int:
        """Pay late losses from unvested profits, insurance and the protocol; return the amount [wad].

        Late losses are those that no gain of their cycle could pay. A booking charges unvested profits at
        most `most`; the end of a cycle charges them for all late losses. Profits withdrawn in between were
        already reduced.
        """
        late = self.late_table[()]
        if late == 0:
            return 0
        paid = self.fund.absorb(self.address, late, most)
        self.holdings[()] = self.holdings[()] + paid
        self.late_table[()] = late - paid
        return paid

    def _charge_late_losses_to_gains(self, cycle: int, market_count: int) -> int:
        """Charge late losses to the gains of a cycle, and return the amount [wad].

        A late loss is one that no gain of its own cycle could pay.
        """
        due = min(self.late_table[()], self.overdue[()])
        charged, parts = self.fund.allocate(self.address, due, cycle, market_count)
        self._change_cycle_loss_totals(cycle, charged, parts)
        self.late_table[()] = self.late_table[()] - charged
        return charged

    def _change_cycle_loss_totals(self, cycle: int, amount: int, parts: Sequence[int]) -> None:
        """Raise the losses that a cycle's gains pay by an amount [wei], or lower them if it is negative.

        `parts` has one entry for each market; it packs the amounts of the long and the short side.
        """
        way = -1 if amount < 0 else 1
        for market, part in enumerate(parts):
            if part != 0:
                was: SideTotals = self.losses[market, cycle]
                long, short = part % 2**128, part >> 128
                self.losses[market, cycle] = SideTotals(was.long + way * long, was.short + way * short)
        self._change_pot(-amount)

    def _sweep_fees(self) -> None:
        """Transfer collected fees to the margin fund, as far as the stablecoin held allows."""
        amount = min(self.fee_table[()], self.holdings[()])
        if amount != 0:
            self.fee_table[()] = self.fee_table[()] - amount
            self.holdings[()] = self.holdings[()] - amount
            self.stablecoin.transfer(self.address, self.fund_address, amount)
            self.fund.add_fees(self.address, amount)


def split_loss_by_winning_side(booked_loss: int, losses_by_side: SideTotals) -> SideTotals:
    """Return a booked loss [wei] split between longs and shorts, pro rata to the losses on each side.

    The part of the long side is rounded down.
    """
    by_long = booked_loss * losses_by_side.long // sum(losses_by_side) if booked_loss else 0
    return SideTotals(booked_loss - by_long, by_long)
