"""The margin market a second time, with every account updated at once.

The contracts move an account when it is touched, from sums and edges; here each move of a price and each roll
goes through all accounts. Both have to come to the same wei. Sides are long, short; amounts in wei.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from backstop.proof.properties.independent_arithmetic.margin_figures import (
    BASIS_POINTS,
    compute_market_haircut_amount,
    split_price_move_with_remainder,
)

SEIZED, BOOKED, TAKEN = 1, 2, 4
_MOST_MOVES, _MOST_GAINS, _MOST_VALUE = 2**128 - 1, 2**117 - 1, 2**109 - 1
_PART = 2**34
_POINT = 21
"""Bits after the point of a lot's haircut in cycles in which its account was not touched."""


Edge = tuple[tuple[int, int], tuple[int, int]]
Levels = Mapping[int, Sequence[int]]
"""The value of a lot of each side, by market."""


def _build_zeros_per_side() -> list[int]:
    return [0, 0]


def compute_position_value(lots: int, lot_value_by_side: Sequence[int]) -> int:
    """Return the value of a position [wei], from the value of a lot on its side."""
    return lots * lot_value_by_side[lots < 0]


@dataclass
class EagerPosition:
    """Position of an account in one perpetual market, with its gains and losses by side [wei].

    `base` is its value at the last cycle end plus payments of trades since. The `pending_` figures belong to
    the last ended cycle. `booked` is the part of the owner's shortfall that is booked in this market.
    """

    size: int = 0
    base: int = 0
    gained: list[int] = field(default_factory=_build_zeros_per_side)
    lost: list[int] = field(default_factory=_build_zeros_per_side)
    pending_gained: list[int] = field(default_factory=_build_zeros_per_side)
    pending_lost: list[int] = field(default_factory=_build_zeros_per_side)
    net: int = 0
    booked: int = 0


@dataclass
class EagerAccount:
    """Margin account: cash, deposits, value at the last cycle end and positions by market [wei].

    It also holds bonds, late losses (booked, but not paid by gains of their cycle) and settled haircuts that
    no event has reported yet.
    """

    cash: int = 0
    brought: int = 0
    worth: int = 0
    since_roll: int = 0
    late: int = 0
    paid: int = 0
    bond: int = 0
    lots: dict[int, EagerPosition] = field(default_factory=dict)
    untold: list[tuple[int, int, int, int]] = field(default_factory=list)
    touched: int = 0
    """The cycle in which it was brought up to date last."""
    borne: dict[int, int] = field(default_factory=dict)
    slept: int = 0
    """A lot's haircut in cycles in which the account was not touched, by market; and that of all lots."""

    def compute_own_value(self, levels: Levels) -> int:
        """Return the account's cash plus the value of all its lots [wei]."""
        return self.cash + sum(
            compute_position_value(lots.size, levels[m]) for m, lots in self.lots.items() if lots.size
        )


@dataclass
class EagerMarket:
    """Perpetual market: price, lot values, and each side's gains and losses of two cycles [wei].

    `moves` holds the cumulative gain and loss of a lot of each side. `pending_totals` and `losses` belong to
    the last ended cycle. `index` and `values` are as of the time `at`.
    """

    price: int = 0
    index: int = 0
    at: int = 0
    values: list[int] = field(default_factory=_build_zeros_per_side)
    extreme: int = 0
    falling: bool = False
    moves: list[list[int]] = field(default_factory=lambda: [_build_zeros_per_side(), _build_zeros_per_side()])
    totals: list[int] = field(default_factory=_build_zeros_per_side)
    pending_totals: list[int] = field(default_factory=_build_zeros_per_side)
    losses: list[int] = field(default_factory=_build_zeros_per_side)
    begun: Edge = ((0, 0), (0, 0))
    """The gain and the value of a lot of each side when the pending cycle began; and when it ended."""
    ended: Edge = ((0, 0), (0, 0))


class MarketTarget(NamedTuple):
    """Target state of a market: mark price, cumulative funding paid by a lot, and time."""

    price: int
    paid: int
    at: int


class EagerSettlementModel:
    """Second model of the margin market that updates each account at each price move and cycle end.

    The contracts update accounts only when a call touches them. Both must agree to the wei.
    """

    def __init__(self, third_bond: int, cycle: int) -> None:
        self.third_bond, self.cycle = third_bond, cycle
        self.owners: dict[str, EagerAccount] = {}
        self.markets: dict[int, EagerMarket] = {}
        self.strangers: set[str] = set()
        """Accounts that were asleep when this began."""
        self.late = self.overdue = self.fees = self.rewards = self.insured = 0
        self.absorbed: list[int | None] = []
        """For how much profits were asked in this call, each time; None: insurance alone, for a cycle."""
        self.due: int | None = None
        # What whoever books is paid for what it booked last, beside a third of a bond.
        self.pay = 0
        """The same of the time that has to come next."""
        self.booked = False

    def get_account(self, name: str) -> EagerAccount | None:
        """Return an account, created if it is new, or None if its state is unknown.

        The state is unknown if the account was not up to date when this model was built.
        """
        return None if name in self.strangers else self.owners.setdefault(name, EagerAccount())

    def get_market(self, market_id: int) -> EagerMarket:
        """Return a perpetual market, created if it is new."""
        return self.markets.setdefault(market_id, EagerMarket())

    # ------------------------------------------------------------------- changes

    def move_market(
        self,
        market_id: int,
        target: MarketTarget,
        turn_threshold: int,
        lots_by_side: Sequence[int],
        is_final: bool = False,
    ) -> None:
        """Move a market to a new price and funding, and book the gains and losses of all accounts.

        Gains and losses are booked at a new price extreme, at a reversal of `turn_threshold` or more, and at
        a final price. `lots_by_side` are the long and short lots up to this move.
        """
        market = self.get_market(market_id)
        if (target.price, target.at) == (market.price, market.at) and not is_final:
            return
        level, before = target.price - target.paid, market.price - market.index
        market.values = self._compute_lot_values_after_move(market, lots_by_side, level - before)
        market.price, market.index, market.at = target
        moved = level - market.extreme
        onward = moved < 0 if market.falling else moved > 0
        if not moved or not (onward or is_final or abs(moved) >= turn_threshold):
            return
        market.extreme, market.falling = level, moved < 0
        winner, loser = int(moved < 0), int(moved > 0)
        gain = abs(split_price_move_with_remainder(lots_by_side[0], lots_by_side[1], moved)[winner])
        everything = lots_by_side[winner] * gain
        loss = everything // lots_by_side[loser] if everything else 0
        most = max(market.moves[winner][0] + gain, market.moves[loser][1] + loss)
        if most > _MOST_MOVES or market.totals[winner] + everything > _MOST_GAINS:
            return
        market.moves[winner][0] += gain
        market.moves[loser][1] += loss
        market.totals[winner] += everything
        for owner in self.owners.values():
            held = owner.lots.get(market_id)
            if held is not None and held.size:
                mine = int(held.size < 0)
                if mine == winner:
                    held.gained[mine] += abs(held.size) * gain
                else:
                    held.lost[mine] += abs(held.size) * loss

    @staticmethod
    def _compute_lot_values_after_move(
        market: EagerMarket, open_lots: Sequence[int], price_move: int
    ) -> list[int]:
        """Return the value of a lot of each side after a price move [wei].

        A move that would exceed the storage bound is ignored.
        """
        by_long, by_short, _ = split_price_move_with_remainder(open_lots[0], open_lots[1], price_move)
        values = [market.values[0] + by_long, market.values[1] + by_short]
        return values if max(map(abs, values)) <= _MOST_VALUE else market.values

    def compute_lot_values_by_market(
        self, funding_indices_by_market: Mapping[int, int], lots_by_market: Mapping[int, Sequence[int]]
    ) -> Levels:
        """Return the value of a lot of each side by market, at the given cumulative funding [wei]."""
        return {
            m: self._compute_lot_values_after_move(
                market, lots_by_market[m], market.index - funding_indices_by_market[m]
            )
            for m, market in self.markets.items()
        }

    def credit_deposit(self, name: str, amount: int) -> None:
        """Credit a deposit [wei] to an account's cash, deposits and value."""
        owner = self.get_account(name)
        if owner is not None:
            owner.cash += amount
            owner.worth += amount
            owner.since_roll += amount
            owner.brought += amount

    def set_position(self, name: str, market_id: int, new_size: int, price_offset_from_mark: int) -> None:
        """Set an account's position to `new_size` lots and charge its cash for the difference.

        The price is the mark plus the offset. A first position also pays the missing bonds.
        """
        owner = self.get_account(name)
        if owner is None:
            return
        lots, values = owner.lots.setdefault(market_id, EagerPosition()), self.get_market(market_id).values
        if (new_size - lots.size) * new_size > 0:
            # More than a reduction: deposits that were lost by the last roll are none any more.
            owner.brought = min(owner.brought, max(0, owner.worth))
        # It closes all that it has, and opens what it has then.
        paid = (
            compute_position_value(new_size, values)
            - compute_position_value(lots.size, values)
            + (new_size - lots.size) * price_offset_from_mark
        )
        owner.cash -= paid
        if not lots.size:
            owner.cash -= self.third_bond * (3 - owner.bond.bit_count())
            owner.bond = SEIZED | BOOKED | TAKEN
        lots.base += paid
        lots.size = new_size

    # -------------------------------------------------------------------- losses

    def compute_haircut_amounts_by_market(self, owner: EagerAccount) -> dict[int, int]:
        """Return an account's haircuts for the last ended cycle, by market [wei]."""
        found = {}
        for m, lots in owner.lots.items():
            market = self.get_market(m)
            found[m] = compute_market_haircut_amount(
                (lots.pending_gained[0], lots.pending_gained[1]),
                (market.losses[0], market.losses[1]),
                (market.pending_totals[0], market.pending_totals[1]),
            )
        return found

    def book_missing_pending_loss(self, name: str, lot_values: Levels, most_reward: int) -> tuple[bool, int]:
        """Book an account's shortfall of the last ended cycle; return whether it grew, and its amount.

        The caller that books it gets a reward from the account's cash. All rewards together are at most
        `most_reward` and at most the new shortfall. The reward adds to the shortfall.
        """
        owner = self.owners[name]
        haircuts = self.compute_haircut_amounts_by_market(owner)
        lacks = max(0, sum(haircuts.values()) - max(owner.worth, owner.compute_own_value(lot_values)))
        had = owner.late + sum(lots.booked for lots in owner.lots.values())
        new = max(lacks, had) // _PART - had // _PART
        self.pay = _PART * min(new, max(0, most_reward // _PART - owner.paid // _PART))
        owner.paid += self.pay
        owner.cash -= self.pay
        owner.worth -= self.pay
        owner.since_roll -= self.pay
        lacks += self.pay
        places, weights = [], []
        for m in sorted(owner.lots):
            lots = owner.lots[m]
            both = sum(lots.pending_lost)
            places.append(m)
            weights.append(min(both, max(0, haircuts[m] - lots.net)))
        late = max(owner.late, lacks - sum(weights))
        borne = min(sum(weights), max(0, lacks - late))
        changed = late != owner.late
        for m, part in zip(places, split_pro_rata(borne, weights), strict=True):
            lots, losses = owner.lots[m], self.get_market(m).losses
            changed |= part != lots.booked
            for much, way in ((part, 1), (lots.booked, -1)):
                # What was lost as long, rounded down, was gained as short.
                by_long = much * lots.pending_lost[0] // sum(lots.pending_lost) if much else 0
                losses[0] += way * (much - by_long)
                losses[1] += way * by_long
            lots.booked = part
        self.late += late - owner.late
        owner.late = late
        self.booked |= changed
        return changed, lacks

    def reduce_losses_by_insurance(self, insurance_paid: int) -> None:
        """Deduct an insurance payment [wei] from the last ended cycle's losses, pro rata."""
        self._change_losses([list(self.get_market(m).losses) for m in sorted(self.markets)], -insurance_paid)

    def charge_late_losses_to_gains(self, haircut_shares_by_market: Mapping[int, int]) -> int:
        """Charge late losses to gains of the last ended cycle, and return the charged amount [wei].

        Late losses are booked losses that no gains of their own cycle pay. The shares [basis points] bound
        the charge by market.
        """
        rooms = []
        for m in sorted(self.markets):
            market = self.get_market(m)
            rooms.append(
                [
                    min(
                        self._compute_pending_net_gain(market, side)
                        * haircut_shares_by_market[m]
                        // BASIS_POINTS,
                        total - loss,
                    )
                    for side, (total, loss) in enumerate(
                        zip(market.pending_totals, market.losses, strict=True)
                    )
                ]
            )
        charged = min(self.late, self.overdue, sum(map(sum, rooms)))
        self._change_losses(rooms, charged)
        self.late -= charged
        return charged

    @staticmethod
    def _compute_pending_net_gain(market: EagerMarket, side: int) -> int:
        """Return the part of a side's gains that it still had at the end of the last cycle [wei]."""
        gain, up = (late[side] - early[side] for late, early in zip(market.ended, market.begun, strict=True))
        more = -up if side else up
        return market.pending_totals[side] * min(gain, max(0, more)) // gain if gain else 0

    def _change_losses(self, weights_by_market_side: Sequence[Sequence[int]], amount: int) -> None:
        parts = split_pro_rata(abs(amount), [each for sides in weights_by_market_side for each in sides])
        for place, m in enumerate(sorted(self.markets)):
            for side in (0, 1):
                self.get_market(m).losses[side] += parts[2 * place + side] * (1 if amount > 0 else -1)

    def roll_cycle(self, lot_values: Levels) -> None:
        """End the cycle: settle all accounts at these lot values and start a new cycle."""
        for owner in self.owners.values():
            self.settle_and_end_account_cycle(owner, lot_values)
        for market in self.markets.values():
            market.pending_totals, market.totals, market.losses = (
                market.totals,
                _build_zeros_per_side(),
                _build_zeros_per_side(),
            )
            gained = (market.moves[0][0], market.moves[1][0])
            market.begun, market.ended = market.ended, (gained, (market.values[0], market.values[1]))
        self.overdue, self.booked = self.late, False
        self.cycle += 1

    def settle_and_end_account_cycle(self, account: EagerAccount, lot_values: Levels) -> int:
        """End one account's cycle at these lot values, and return its unused booked shortfall [wei]."""
        left = self._settle_account_haircut(account, lot_values)
        self._roll_account_into_next_cycle(account, lot_values)
        account.worth, account.since_roll = account.compute_own_value(lot_values), 0
        return left

    def _settle_account_haircut(self, account: EagerAccount, lot_values: Levels) -> int:
        if account.touched < self.cycle - 1:
            self._charge_untouched_account_haircut(account)
            return 0
        haircut = sum(self.compute_haircut_amounts_by_market(account).values())
        booked = account.late + sum(lots.booked for lots in account.lots.values())
        given = min(booked, max(0, haircut - max(account.worth, account.compute_own_value(lot_values))))
        if haircut or booked:
            account.untold.append((self.cycle - 1, haircut, booked, given))
        account.cash += given - haircut
        account.worth += given - haircut
        account.late = account.paid = 0
        return booked - given

    def _charge_untouched_account_haircut(self, account: EagerAccount) -> None:
        """Charge the haircuts of cycles in which no call touched the account, rounded up once.

        In each cycle a lot's haircut is rounded up at 21 fractional bits.
        """
        for m, lots in account.lots.items():
            side = int(lots.size < 0)
            loss, total = self.get_market(m).losses[side], self.get_market(m).pending_totals[side]
            if lots.size and loss:
                gain = lots.pending_gained[side] // abs(lots.size)
                account.borne[m] = account.borne.get(m, 0) - (-(gain * loss << _POINT) // total)
        all_of_it = sum(-(-abs(account.lots[m].size) * each >> _POINT) for m, each in account.borne.items())
        account.cash -= all_of_it - account.slept
        account.worth -= all_of_it - account.slept
        account.slept = all_of_it

    def _roll_account_into_next_cycle(self, owner: EagerAccount, levels: Levels) -> None:
        stays = False
        for m, lots in owner.lots.items():
            lots.booked = 0
            lots.pending_gained, lots.pending_lost = lots.gained, lots.lost
            lots.gained, lots.lost = _build_zeros_per_side(), _build_zeros_per_side()
            if lots.size or any(lots.pending_gained) or any(lots.pending_lost):
                stays = True
                lots.net = (
                    compute_position_value(lots.size, levels[m]) - lots.base if lots.size else -lots.base
                )
            else:
                lots.net = 0
            lots.base = compute_position_value(lots.size, levels[m]) if lots.size else 0
        if not stays:
            owner.lots.clear()
            owner.cash += self.third_bond * owner.bond.bit_count()
            owner.bond = 0


def split_pro_rata(amount: int, weights: Sequence[int]) -> list[int]:
    """Return parts of an amount in proportion to weights, by rounding down running sums.

    The parts sum to the amount.
    """
    total = sum(weights)
    sums = [amount * sum(weights[: i + 1]) // total if amount else 0 for i in range(len(weights))]
    return [now - before for now, before in zip(sums, [0, *sums], strict=False)]
