"""Holdings, gains and losses of the perpetual markets' accounts in the open and the pending cycle.

A bought lot moves as much cash as a lot of its side is worth, plus or minus the distance of its price from
the mark. So no trade changes the sum over all accounts. A position also keeps its value at the start of the
cycle plus the payments of its trades since. By the market's path it keeps its gains and losses as long and as
short. An account is brought up to date when it is touched. Amounts in wei.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, cast

from backstop.contract_base import World, declare_record_slot_bit_widths, immutable, require
from backstop.model import bounds
from backstop.model.arithmetic import check_signed, div_up, sub
from backstop.model.interfaces import Clock, SideTotals, Standing
from backstop.model.price_path import MAX_LOTS, Moves, PricePath, get_side

SEIZED, BOOKED, TAKEN = 1, 2, 4
"""Thirds of an account's bond, by bit."""


PART = 2**34
"""Unit of the pay for a booking [wei]: the pay is a multiple of it."""


@declare_record_slot_bit_widths(-138, 8, 32, 32, 3, 43)
class Account(NamedTuple):
    """Cash; a bit for each market it is in; the cycle it is in, how many with losses it has gone through."""

    cash: int = 0
    markets: int = 0
    cycle: int = 0
    seen: int = 0
    bond: int = 0  # thirds, by bit
    paid: int = 0  # parts of its cash, for booking its loss of the pending cycle


@declare_record_slot_bit_widths(-64, -138)
class Position(NamedTuple):
    """Lots, and its value when the cycle began plus what its trades paid since."""

    size: int = 0
    value: int = 0


@declare_record_slot_bit_widths(-138, 118)
class Pending(NamedTuple):
    """Change of a position's value in the pending cycle, and the part of a loss booked against gains."""

    net: int = 0
    booked: int = 0


@declare_record_slot_bit_widths(-138, -118)
class Worth(NamedTuple):
    """Worth of an account at the end of the pending cycle plus its net deposits since, and these alone [wei].

    A withdrawal lowers both.
    """

    value: int = 0
    brought: int = 0


class CycleBook(PricePath):
    """See contracts/modules/cycle_book.vy."""

    # Wad: a third of what an account puts up with its first position.
    third_bond = immutable("THIRD_BOND", int)

    def __init__(
        self, world: World, name: str, address: str, margin_policy: str, mark_age: int, third_bond: int
    ) -> None:
        super().__init__(world, name, address, margin_policy, mark_age)
        self.third_bond = third_bond
        self.accounts = self.table("cycle_book.accounts", Account())
        self.worths = self.table("cycle_book.worths", Worth())
        # What was booked of its loss that no gain of the pending cycle bears.
        self.late_of = self.table("cycle_book.late_of")
        self.deposits = self.table("cycle_book.paid_in")
        self.positions = self.table("cycle_book.positions", Position())
        # Up to which moves of its side its gains and losses of the open cycle are counted.
        self.since = self.table("cycle_book.since", Moves())
        # By market and a cycle's number modulo 2: of the open and of the pending cycle.
        self.gained = self.table("cycle_book.gained", SideTotals())
        self.lost = self.table("cycle_book.lost", SideTotals())
        self.pendings = self.table("cycle_book.pendings", Pending())
        # By market and cycle: what those who gained as long, as short, bear together.
        self.losses = self.table("cycle_book.losses", SideTotals())
        # Cycles that had losses, in order.
        self.lossy = self.table("cycle_book.lossy")
        # By market, side and number: what a lot bears of the first so many of them, rounded up in each.
        self.indices = self.table("cycle_book.indices")
        self.fee_table = self.table("cycle_book.fees")
        self.bonds = self.table("cycle_book.bonds")
        # Of the bonds, what is for whoever has lots of debtors taken over.
        self.reward_table = self.table("cycle_book.rewards")

    # ---------------------------------------------------------------- touching

    def _settle_missed_cycles(self, owner: str) -> None:
        """Settle the cycles that an account has missed; close its positions in markets that have ended."""
        clock: Clock = self.clocks[()]
        account: Account = self.accounts[owner]
        if account.cycle == 0:
            self.accounts[owner] = account._replace(cycle=clock.cycle, seen=clock.lossy)
        elif account.cycle != clock.cycle:
            self._close_cycle(owner)
            if account.cycle + 1 != clock.cycle:
                self._settle_final_cycles(owner)
                self._close_cycle(owner)
        self._close_positions_at_marks(owner, self.accounts[owner].markets & clock.ended)

    def _close_positions_at_marks(self, owner: str, markets: int) -> None:
        """Take an account's positions in some markets, by bits, from it, at the marks."""
        for market in _list_markets_of_bits(markets):
            size = self.positions[owner, market].size
            if size != 0:
                self._trade_lots(owner, market, -size, 0)

    def _settle_final_cycles(self, owner: str) -> None:
        """Settle the cycle that an account ended last and all final ones after it; go to the pending one.

        In all of these its lots were the same, and nothing was booked of it. `_close` describes the account's
        worth and the pending amounts.
        """
        clock: Clock = self.clocks[()]
        account, cycle, haircut = (
            self._apply_final_cycle_haircut(owner, self.accounts[owner]),
            clock.cycle - 1,
            0,
        )
        for market in _list_markets_of_bits(account.markets):
            position: Position = self.positions[owner, market]
            side = get_side(position.size)
            borne = self.indices[market, side, clock.lossy] - self.indices[market, side, account.seen]
            haircut += -(-abs(position.size) * borne >> 21)
            value = self.levels[market, cycle].of(position.size)
            self._check_and_store_position(owner, market, position._replace(value=value))
            self.since[owner, market] = self.edges[market, cycle, side]
            self._clear_cycle(owner, market, cycle)
        if haircut:
            self._change_pot(haircut)
            self.emit("Settled", owner, cycle - 1, haircut, 0, 0)
        account = account._replace(cash=account.cash - haircut, cycle=cycle, seen=clock.lossy)
        self._store_account(owner, account)

    def _close_cycle(self, owner: str) -> None:
        """End the account's cycle: the one before is final, this one is pending."""
        account = self._apply_final_cycle_haircut(owner, self.accounts[owner])
        cycle = account.cycle + 1
        worth, markets = account.cash, 0
        for market in _list_markets_of_bits(account.markets):
            position: Position = self.positions[owner, market]
            self._add_cycle_gains_and_losses(
                owner, market, account.cycle, self.edges[market, cycle, get_side(position.size)]
            )
            value = self.levels[market, cycle].of(position.size)
            worth += value
            self._check_and_store_position(owner, market, Position(position.size, value))
            gained, lost = (
                self.get_cycle_gains(owner, market, account.cycle),
                self.get_cycle_losses(owner, market, account.cycle),
            )
            stays = position.size != 0 or gained != SideTotals() or lost != SideTotals()
            markets |= stays << market
            net = self._pack_amount(value - position.value if stays else 0).value
            self.pendings[owner, market] = Pending(net)
            # What was kept of the cycle that is final makes room for the one that opens.
            self._clear_cycle(owner, market, cycle)
        if markets == 0:
            worth += self.third_bond * account.bond.bit_count()
            account = self._return_bond_to_cash(account)
        self.worths[owner] = Worth(self._pack_amount(worth).value)
        self._store_account(owner, account._replace(markets=markets, cycle=cycle))

    def _apply_final_cycle_haircut(self, owner: str, account: Account) -> Account:
        """Take the haircuts of the cycle before the account's, and give what was booked and is missing.

        Nothing if that had no losses. The caller forgets what was booked, as it ends the next cycle.
        """
        clock: Clock = self.clocks[()]
        final = account.cycle - 1
        if account.seen == clock.lossy or self.lossy[account.seen] != final:
            return account
        haircut, booked, own = (
            self._compute_pending_haircut_amount(owner, account.markets),
            self.late_of[owner],
            account.cash,
        )
        for market in _list_markets_of_bits(account.markets):
            booked += self.pendings[owner, market].booked
            own += self.levels[market, account.cycle + 1].of(self.positions[owner, market].size)
        self.late_of[owner] = 0
        given = min(booked, max(0, haircut - max(self.worths[owner].value, own)))
        # What is not needed is insurance.
        self.fee_table[()] = self.fee_table[()] + booked - given
        self._change_pot(haircut - booked)
        if haircut or booked:
            self.emit("Settled", owner, final, haircut, booked, given)
        return account._replace(cash=account.cash + given - haircut, seen=account.seen + 1, paid=0)

    def get_cycle_gains(self, owner: str, market: int, cycle: int) -> SideTotals:
        """Return what an account gained in the cycle that is open for it, or pending [wei]."""
        return cast(SideTotals, self.gained[owner, market, cycle % 2])

    def get_cycle_losses(self, owner: str, market: int, cycle: int) -> SideTotals:
        """Return what an account lost in the cycle that is open for it, or pending [wei]."""
        return cast(SideTotals, self.lost[owner, market, cycle % 2])

    def get_unfinal_previous_cycle_gains(self, owner: str, market: int) -> SideTotals:
        """Return what an account gained in its pending cycle [wei]."""
        return self.get_cycle_gains(owner, market, self.accounts[owner].cycle - 1)

    def _clear_cycle(self, owner: str, market: int, cycle: int) -> None:
        """Forget what was gained and lost in a cycle, or the one two before it."""
        self.gained[owner, market, cycle % 2] = self.lost[owner, market, cycle % 2] = SideTotals()

    def _add_cycle_gains_and_losses(self, owner: str, market: int, cycle: int, moves: Moves) -> None:
        """Count a position's gains and losses in a cycle up to some moves, while it had its size."""
        size = self.positions[owner, market].size
        if size == 0:
            return
        since: Moves = self.since[owner, market]
        side, lots = get_side(size), abs(size)
        gained, lost = (
            list(self.get_cycle_gains(owner, market, cycle)),
            list(self.get_cycle_losses(owner, market, cycle)),
        )
        gained[side] += lots * (moves.gained - since.gained)
        lost[side] += lots * (moves.lost - since.lost)
        self.gained[owner, market, cycle % 2], self.lost[owner, market, cycle % 2] = (
            SideTotals(*gained),
            SideTotals(*lost),
        )
        self.since[owner, market] = moves

    # ----------------------------------------------------------------- values

    def _compute_market_haircut(self, owner: str, market: int) -> int:
        """Return the haircut of the account's pending cycle in a market [wei], rounded up."""
        cycle = self.accounts[owner].cycle - 1
        gained, losses = self.get_cycle_gains(owner, market, cycle), self.losses[market, cycle]
        totals: SideTotals = self.totals[market, cycle]
        found = 0
        for mine, loss, total in zip(gained, losses, totals, strict=True):
            if mine and loss:
                found += div_up(mine * loss, total)
        return found

    def _compute_pending_haircut_amount(self, owner: str, market_bits: int) -> int:
        return sum(
            self._compute_market_haircut(owner, market) for market in _list_markets_of_bits(market_bits)
        )

    def _compute_account_value_at_marks(self, owner: str) -> int:
        """Return cash and the value of all positions at the marks [wei]."""
        account: Account = self.accounts[owner]
        markets = _list_markets_of_bits(account.markets)
        return account.cash + sum(self._compute_worth(m, self.positions[owner, m].size) for m in markets)

    def _compute_standing(self, owner: str) -> Standing:
        """Return what a touched account has, at the marks."""
        account: Account = self.accounts[owner]
        unfinal = 0
        for market in _list_markets_of_bits(account.markets):
            unfinal += sum(self._compute_open_gains(owner, market))
            unfinal += sum(self.get_unfinal_previous_cycle_gains(owner, market))
        return Standing(
            self._compute_account_value_at_marks(owner),
            self._compute_pending_haircut_amount(owner, account.markets),
            unfinal,
        )

    def _compute_open_gains(self, owner: str, market: int) -> SideTotals:
        """Return what a position gained in the open cycle, up to the last move."""
        gained: list[int] = list(self.get_cycle_gains(owner, market, self.accounts[owner].cycle))
        size = self.positions[owner, market].size
        if size != 0:
            side = get_side(size)
            by = self.moves[market, side].gained - self.since[owner, market].gained
            gained[side] += abs(size) * by
        return SideTotals(*gained)

    def _worth_at_roll(self, owner: str) -> int:
        """Return what a touched account was worth when the pending cycle ended [wei]."""
        worth: Worth = self.worths[owner]
        return worth.value - worth.brought

    def _has_lots(self, owner: str) -> bool:
        """Return whether an account has a position."""
        return any(
            self.positions[owner, market].size
            for market in _list_markets_of_bits(self.accounts[owner].markets)
        )

    # ---------------------------------------------------------------- changes

    def _trade_lots(self, owner: str, market: int, delta: int, off: int) -> None:
        """Buy (or sell) lots for a touched account in a market that is up to date, so far off the mark.

        The value of a lot differs by side: lots are closed at one side's value and opened at the other's.
        """
        account: Account = self.accounts[owner]
        position: Position = self.positions[owner, market]
        old = position.size
        size = check_signed(old + delta)
        require(abs(size) <= MAX_LOTS, "cycle_book: too many lots")
        if delta * size > 0:
            self._cap_deposits_at_roll_worth(owner)
        self._add_cycle_gains_and_losses(owner, market, account.cycle, self.moves[market, get_side(old)])
        self.since[owner, market] = self.moves[market, get_side(size)]
        paid = self._compute_worth(market, size) - self._compute_worth(market, old) + delta * off
        self._update_open_lots(market, old, size)
        account = account._replace(cash=account.cash - paid, markets=account.markets | 1 << market)
        if old == 0:
            account = self._take_missing_bond_thirds(account)
        self._check_and_store_position(owner, market, Position(size, position.value + paid))
        self._store_account(owner, account)
        self.emit("PositionChanged", owner, market, size, account.cash)

    def _change_account_cash(self, owner: str, amount: int) -> None:
        """Change an account's cash."""
        account: Account = self.accounts[owner]
        self._store_account(owner, account._replace(cash=account.cash + amount))

    def _credit_payment_as_deposit(self, owner: str, amount: int) -> None:
        """Credit what an account brings: it counts for the pending cycle, not for older ones; no profit."""
        self._settle_missed_cycles(owner)
        self._book_deposit_or_withdrawal(owner, check_signed(amount))
        self.deposits[owner] = self.deposits[owner] + amount

    def _book_deposit_or_withdrawal(self, owner: str, amount: int) -> None:
        """Credit a deposit to an account, or debit a withdrawal: in the pending cycle as well."""
        self._change_account_cash(owner, amount)
        worth: Worth = self.worths[owner]
        brought = worth.brought + amount
        require(abs(brought) < 2**117, "price_path: beyond all figures")
        self.worths[owner] = Worth(self._pack_amount(worth.value + amount).value, brought)

    def _cap_deposits_at_roll_worth(self, owner: str) -> None:
        """Cap an account's counted deposits at its worth of the last roll, when it does more than reduce."""
        most = max(0, self.worths[owner].value)
        if self.deposits[owner] > most:
            self.deposits[owner] = most

    def _take_missing_bond_thirds(self, account: Account) -> Account:
        """Take all thirds of the bond, or the missing ones of them."""
        missing = self.third_bond * (3 - account.bond.bit_count())
        self.bonds[()] = self.bonds[()] + missing
        return account._replace(cash=account.cash - missing, bond=SEIZED | BOOKED | TAKEN)

    def _return_bond_to_cash(self, account: Account) -> Account:
        """Give back what is left of the bond."""
        left = self.third_bond * account.bond.bit_count()
        self.bonds[()] = self.bonds[()] - left
        return account._replace(cash=account.cash + left, bond=0)

    def _pay_finder(self, owner: str, third: int, finder: str, parts: int) -> None:
        """Pay the finder of an account a third of its bond, once each, and parts of its cash.

        When positions are seized, the last third is set apart for the caller that has their lots taken over.
        """
        amount = parts * PART
        self._book_deposit_or_withdrawal(owner, -amount)
        account: Account = self.accounts[owner]
        account = account._replace(paid=account.paid + parts)
        if account.bond & third:
            gone = third
            if third == SEIZED:
                gone |= TAKEN
                self.reward_table[()] = self.reward_table[()] + self.third_bond
            self.bonds[()] = self.bonds[()] - self.third_bond
            amount += self.third_bond
            account = account._replace(bond=account.bond & ~gone)
        self.accounts[owner] = account
        if amount:
            self._credit_payment_as_deposit(finder, amount)
            self.emit("FinderPaid", owner, finder, amount)

    def _pay_takeover_reward(self, finder: str, amount: int) -> None:
        """Pay the finder for having insolvent accounts' lots taken over [wad]."""
        self.reward_table[()] = sub(self.reward_table[()], amount)
        self.bonds[()] = self.bonds[()] - amount
        self._credit_payment_as_deposit(finder, amount)

    def _move_unpaid_rewards_to_insurance(self) -> None:
        """Move rewards that remain unpaid at the end to insurance."""
        self.bonds[()] = self.bonds[()] - self.reward_table[()]
        self.fee_table[()] = self.fee_table[()] + self.reward_table[()]
        self.reward_table[()] = 0

    def _index_lossy_cycle_haircuts(self, number: int, cycle: int, markets: int) -> None:
        """Note a final cycle that had losses, by its number, and add its haircut of a lot to the indices."""
        self.lossy[number] = cycle
        for market in range(markets):
            losses, totals = self.losses[market, cycle], self.totals[market, cycle]
            for side, (loss, total) in enumerate(zip(losses, totals, strict=True)):
                index = self.indices[market, side, number]
                if loss:
                    begun, ended = (self.edges[market, each, side] for each in (cycle, cycle + 1))
                    index += div_up((ended.gained - begun.gained) * loss << 21, total)
                self.indices[market, side, number + 1] = index

    def _store_account(self, owner: str, account: Account) -> None:
        require(abs(account.cash) < 2**137, "price_path: beyond all figures")
        self.accounts[owner] = account

    def _check_and_store_position(self, owner: str, market: int, position: Position) -> None:
        require(abs(position.value) < 2**137, "price_path: beyond all figures")
        self.positions[owner, market] = position


@cache
def _list_markets_of_bits(market_bits: int) -> tuple[int, ...]:
    """Return the markets of bits."""
    return tuple(market for market in range(bounds.MAX_MARGIN_MARKETS) if market_bits >> market & 1)
