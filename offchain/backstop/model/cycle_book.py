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
    """Margin account: its cash [wei], the markets of its positions (one bit each) and its cycle number.

    `seen` counts the cycles with losses that are settled for the account. `bond` is the part of its bond that
    is left. `paid` counts the payments from its cash for booking its loss in the pending cycle (ended, not
    yet final).
    """

    cash: int = 0
    markets: int = 0
    cycle: int = 0
    seen: int = 0
    bond: int = 0  # thirds, by bit
    paid: int = 0  # parts of its cash, for booking its loss of the pending cycle


@declare_record_slot_bit_widths(-64, -138)
class Position(NamedTuple):
    """Position in one perpetual market: signed size in lots, and value at the cycle's start [wei].

    The payments of its trades since then are added to the value.
    """

    size: int = 0
    value: int = 0


@declare_record_slot_bit_widths(-138, 118)
class Pending(NamedTuple):
    """Change of a position's value in the pending cycle, and its loss booked against gains [wei].

    The pending cycle has ended, but its losses are not yet all known.
    """

    net: int = 0
    booked: int = 0


@declare_record_slot_bit_widths(-138, -118)
class Worth(NamedTuple):
    """Account's value at the end of the last cycle plus later net deposits, and these deposits [wei].

    A withdrawal lowers both figures.
    """

    value: int = 0
    brought: int = 0


class CycleBook(PricePath):
    """Accounts and positions of the perpetual markets, with gains and losses per settlement cycle.

    Model of contracts/modules/cycle_book.vy.
    """

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
        """Update an account to the open cycle, and close its positions in markets that have ended.

        All cycles that ended since the account's last update are settled.
        """
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
        """Close an account's positions in the markets of a bit mask, at the mark prices."""
        for market in _list_markets_of_bits(markets):
            size = self.positions[owner, market].size
            if size != 0:
                self._trade_lots(owner, market, -size, 0)

    def _settle_final_cycles(self, owner: str) -> None:
        """Settle an account's missed final cycles, and advance the account to the pending cycle.

        A pending cycle has ended but is not final. In the missed cycles the account did not trade, and no
        loss of it was booked. `_close_cycle` then computes the account's worth and its pending amounts.
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
        """Advance an account by one settlement cycle.

        Its pending cycle (ended, with losses not yet all known) becomes final, and its open cycle becomes
        pending.
        """
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
        """Deduct the haircut of an account's last final cycle from its cash, and return the changed account.

        A haircut is the part of a gain that pays other accounts' losses. Loss that was booked against gains,
        and that the account lacks, is credited. Nothing changes if the cycle had no losses.
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
        """Return an account's gains in a market [wei], in its open cycle or the one before.

        The gains of a long and of a short position are separate.
        """
        return cast(SideTotals, self.gained[owner, market, cycle % 2])

    def get_cycle_losses(self, owner: str, market: int, cycle: int) -> SideTotals:
        """Return an account's losses in a market [wei], in its open cycle or the one before.

        The losses of a long and of a short position are separate.
        """
        return cast(SideTotals, self.lost[owner, market, cycle % 2])

    def get_unfinal_previous_cycle_gains(self, owner: str, market: int) -> SideTotals:
        """Return an account's gains in a market in its pending cycle [wei], long and short separately.

        A pending cycle has ended but is not final, so its gains can still bear losses.
        """
        return self.get_cycle_gains(owner, market, self.accounts[owner].cycle - 1)

    def _clear_cycle(self, owner: str, market: int, cycle: int) -> None:
        """Delete an account's gains and losses in a market for the storage place of a cycle.

        Cycles share two storage places by parity, so the record may be that of two cycles before.
        """
        self.gained[owner, market, cycle % 2] = self.lost[owner, market, cycle % 2] = SideTotals()

    def _add_cycle_gains_and_losses(self, owner: str, market: int, cycle: int, moves: Moves) -> None:
        """Add a position's gains and losses since its last update to the totals of a cycle.

        `moves` holds the price moves up to which they are counted.
        """
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
        """Return the haircut on an account's gains in a market in the pending cycle [wei, rounded up].

        A haircut is the part of a gain that pays other accounts' losses. A pending cycle has ended but is not
        final.
        """
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
        """Return an account's cash plus the value of all its positions at the mark prices [wei]."""
        account: Account = self.accounts[owner]
        markets = _list_markets_of_bits(account.markets)
        return account.cash + sum(self._compute_worth(m, self.positions[owner, m].size) for m in markets)

    def _compute_standing(self, owner: str) -> Standing:
        """Return an account's value, its known haircuts and its gains that are not final [wei].

        A haircut is the part of a gain that pays other accounts' losses.
        """
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
        """Return a position's gains in the open cycle up to the last price move [wei].

        The gains of long and of short lots are separate.
        """
        gained: list[int] = list(self.get_cycle_gains(owner, market, self.accounts[owner].cycle))
        size = self.positions[owner, market].size
        if size != 0:
            side = get_side(size)
            by = self.moves[market, side].gained - self.since[owner, market].gained
            gained[side] += abs(size) * by
        return SideTotals(*gained)

    def _worth_at_roll(self, owner: str) -> int:
        """Return an account's value when the pending cycle ended [wei], without deposits since then."""
        worth: Worth = self.worths[owner]
        return worth.value - worth.brought

    def _has_lots(self, owner: str) -> bool:
        """Return True if an account has a position in any market."""
        return any(
            self.positions[owner, market].size
            for market in _list_markets_of_bits(self.accounts[owner].markets)
        )

    # ---------------------------------------------------------------- changes

    def _trade_lots(self, owner: str, market: int, delta: int, off: int) -> None:
        """Buy `delta` lots (sell if negative) for an account, at the mark price plus `off` [wei a lot].

        Long and short lots differ in value: old lots are closed at their side's value, new ones opened at the
        other's. The account must be updated to the open cycle before. The first position also pays the
        account's bond.
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
        account: Account = self.accounts[owner]
        self._store_account(owner, account._replace(cash=account.cash + amount))

    def _credit_payment_as_deposit(self, owner: str, amount: int) -> None:
        """Credit a payment [wei] to an account as a deposit.

        The payment counts for the pending cycle (ended, not yet final), not for older ones, and is not
        profit.
        """
        self._settle_missed_cycles(owner)
        self._book_deposit_or_withdrawal(owner, check_signed(amount))
        self.deposits[owner] = self.deposits[owner] + amount

    def _book_deposit_or_withdrawal(self, owner: str, amount: int) -> None:
        """Add a deposit (negative: a withdrawal) [wei] to an account's cash and pending worth.

        The pending worth is the account's value at the end of the last cycle, which is not final yet.
        """
        self._change_account_cash(owner, amount)
        worth: Worth = self.worths[owner]
        brought = worth.brought + amount
        require(abs(brought) < 2**117, "price_path: beyond all figures")
        self.worths[owner] = Worth(self._pack_amount(worth.value + amount).value, brought)

    def _cap_deposits_at_roll_worth(self, owner: str) -> None:
        """Limit an account's counted deposits to its worth at the end of the last cycle.

        This happens when a trade increases a position.
        """
        most = max(0, self.worths[owner].value)
        if self.deposits[owner] > most:
            self.deposits[owner] = most

    def _take_missing_bond_thirds(self, account: Account) -> Account:
        """Charge the missing thirds of an account's bond to its cash, and return the account.

        The bond pays callers that find an account's loss.
        """
        missing = self.third_bond * (3 - account.bond.bit_count())
        self.bonds[()] = self.bonds[()] + missing
        return account._replace(cash=account.cash - missing, bond=SEIZED | BOOKED | TAKEN)

    def _return_bond_to_cash(self, account: Account) -> Account:
        """Pay the rest of an account's bond back to its cash, and return the account.

        The bond pays callers that find an account's loss.
        """
        left = self.third_bond * account.bond.bit_count()
        self.bonds[()] = self.bonds[()] - left
        return account._replace(cash=account.cash + left, bond=0)

    def _pay_finder(self, owner: str, third: int, finder: str, parts: int) -> None:
        """Pay the caller that found a shortfall: a third of the account's bond, and `parts` of its cash.

        Each third is paid once. For a seized position, the last third is reserved for the caller that later
        has its lots taken over.
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
        """Pay the caller that had lots of insolvent accounts taken over, from reserved bonds [wad]."""
        self.reward_table[()] = sub(self.reward_table[()], amount)
        self.bonds[()] = self.bonds[()] - amount
        self._credit_payment_as_deposit(finder, amount)

    def _move_unpaid_rewards_to_insurance(self) -> None:
        """Move takeover rewards that nothing claimed to the fees, which go to insurance."""
        self.bonds[()] = self.bonds[()] - self.reward_table[()]
        self.fee_table[()] = self.fee_table[()] + self.reward_table[()]
        self.reward_table[()] = 0

    def _index_lossy_cycle_haircuts(self, number: int, cycle: int, markets: int) -> None:
        """Record a final cycle that had losses, and add its haircut of one lot to the cumulative indices.

        A haircut is the part of a gain that pays losses. `number` is the cycle's position among the cycles
        with losses.
        """
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
    """Return the numbers of the markets that a bit mask contains."""
    return tuple(market for market in range(bounds.MAX_MARGIN_MARKETS) if market_bits >> market & 1)
