"""The margin market as a call finds it, to play the call a second time without the model.

It begins from stored tables, moves the markets that are marked, and has lots change hands. Amounts in wei.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backstop.lockstep.step_transition import Transition
from backstop.model import bounds
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    ACCOUNTS,
    BASIS_POINTS,
    CLOCK,
    EDGES,
    FEES,
    FUNDINGS,
    GAINED,
    LATE,
    LEVELS,
    LOSSES,
    LOST,
    LOTS,
    MARKET,
    MARKETS,
    MOVES,
    PATHS,
    POLICY,
    REWARDS,
    SINCE,
    TOTALS,
    TRADING,
    build_cycle_key,
    compute_initial_margin,
    compute_lot_price_and_range,
    compute_maintenance_margin,
    compute_new_risk_margin,
    get_market_fund_name,
    has_ended,
)
from backstop.proof.properties.independent_arithmetic.price_figures import Read
from backstop.proof.properties.margin_market.account_balances_from_events import (
    load_eager_account,
    load_eager_market,
)
from backstop.proof.properties.margin_market.eager_settlement_model import (
    EagerAccount,
    EagerSettlementModel,
    MarketTarget,
)

# The contracts refuse cash and values of twice as much [wei].
_FIGURES = 2**136


class UnknownStateError(Exception):
    """Error for a question that stored tables cannot answer, for instance about an outdated account."""


class _MarketTables:
    """View of the margin market's storage tables, by path, through a read function."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def __getitem__(self, path: str) -> _MarketTable:
        return _MarketTable(self._read, path)


class _MarketTable:
    def __init__(self, read: Read, path: str) -> None:
        self._read, self._path = read, path

    def __getitem__(self, key: Any) -> Any:
        return self._read(MARKET, self._path, key)


class MarketReplay:
    """Replay of one margin market call from the state before it, without the model.

    It holds the markets and the named accounts.
    """

    def __init__(self, step: Transition, names: Iterable[str], *, wakes: bool = True) -> None:
        self.step = step
        self.read: Read = step.read_pre_state if step.outcome.ok else step.read_post_state
        self.reason = step.outcome.reason
        self.now = step.model.timestamp
        self.clock = self.read(MARKET, CLOCK)
        self.market = step.get_contract(MARKET)
        tables = _MarketTables(self.read)
        self._shadow = EagerSettlementModel(self.market.third_bond, self.clock.cycle)
        self._shadow.late = self.read(MARKET, LATE)
        self.lots: dict[int, list[int]] = {}
        self._indices: dict[int, int] = {}
        self._fresh: dict[int, tuple[int, int, int]] = {}
        for m in MARKETS:
            if self.read(MARKET, PATHS, m).price:
                self._shadow.markets[m] = load_eager_market(tables, m, self.clock.cycle)
            self.lots[m] = list(self.read(MARKET, LOTS, m))
            level, rate, updated = self.read(MARKET, FUNDINGS, m)
            self._indices[m] = level + rate * (self.now - updated)
        self.fees = int(self.read(MARKET, FEES))
        for name in names:
            cycle = self.read(MARKET, ACCOUNTS, name).cycle
            if not cycle or cycle == self.clock.cycle:
                self._shadow.owners[name] = load_eager_account(tables, name)
            elif wakes:
                self._shadow.owners[name] = self._load_account_with_cycles_ended(tables, name, cycle)
        for name, owner in self._shadow.owners.items() if wakes else ():
            for m, lots in owner.lots.items():
                if lots.size and self.has_ended(m):
                    self.exchange_lots(m, name, -lots.size, self.read_mark(m), 0)

    def _load_account_with_cycles_ended(
        self, tables: _MarketTables, account_name: str, account_cycle: int
    ) -> EagerAccount:
        """Return an outdated account after settling each cycle that has ended since its last update."""
        owner = load_eager_account(tables, account_name)
        sides = {m: int(lots.size < 0) for m, lots in owner.lots.items() if lots.size}
        # What it gained since the edge before, in place of what it gained up to now.
        passed = {m: self.read(MARKET, SINCE, (account_name, m)) for m in sides}
        for m in sides:
            opened = build_cycle_key(account_name, m, account_cycle)
            owner.lots[m].gained = list(self.read(MARKET, GAINED, opened))
            owner.lots[m].lost = list(self.read(MARKET, LOST, opened))
        for ended in range(account_cycle, self.clock.cycle):
            edge = EagerSettlementModel(self.market.third_bond, ended)
            levels = {m: self.read(MARKET, LEVELS, (m, ended + 1)) for m in MARKETS}
            for m in owner.lots:
                market = edge.get_market(m)
                market.losses = list(self.read(MARKET, LOSSES, (m, ended - 1)))
                market.pending_totals = list(self.read(MARKET, TOTALS, (m, ended - 1)))
            for m, side in sides.items():
                passed[m] = self._book_gains_between_moves(
                    owner, m, passed[m], self.read(MARKET, EDGES, (m, ended + 1, side))
                )
            self.fees += edge.settle_and_end_account_cycle(owner, levels)
        for m, side in sides.items():
            self._book_gains_between_moves(owner, m, passed[m], self.read(MARKET, MOVES, (m, side)))
        return owner

    @staticmethod
    def _book_gains_between_moves(
        owner: EagerAccount, market_id: int, earlier_moves: Any, later_moves: Any
    ) -> Any:
        """Add a position's gains and losses between two cumulative price moves; return the later moves."""
        lots = owner.lots[market_id]
        side = int(lots.size < 0)
        lots.gained[side] += abs(lots.size) * (later_moves.gained - earlier_moves.gained)
        lots.lost[side] += abs(lots.size) * (later_moves.lost - earlier_moves.lost)
        return later_moves

    # ------------------------------------------------------------------ accounts

    def get_account(self, name: str) -> EagerAccount:
        """Return an up-to-date account; raise UnknownStateError if it was not loaded."""
        if name not in self._shadow.owners:
            raise UnknownStateError
        return self._shadow.owners[name]

    def read_position_size(self, name: str, market_id: int) -> int:
        """Return an account's position in a market [lots], positive for long."""
        lots = self.get_account(name).lots.get(market_id)
        return lots.size if lots else 0

    def read_position_sizes(self, name: str) -> dict[int, int]:
        """Return an account's open positions [lots], by market."""
        return {m: lots.size for m, lots in self.get_account(name).lots.items() if lots.size}

    def compute_equity_after_haircuts(self, name: str) -> int:
        """Return an account's cash and position value less known haircuts [wei]."""
        owner = self.get_account(name)
        levels = self._shadow.compute_lot_values_by_market(self._indices, self.lots)
        return owner.compute_own_value(levels) - sum(
            self._shadow.compute_haircut_amounts_by_market(owner).values()
        )

    def compute_unfinal_gains(self, name: str) -> int:
        """Return an account's gains of the open and the last ended cycle, which are not final [wei]."""
        lots = self.get_account(name).lots.values()
        return sum(sum(each.gained) + sum(each.pending_gained) for each in lots)

    def compute_initial_risk_maintenance_margins(
        self, account_name: str, sizes_by_market: dict[int, int] | None = None
    ) -> tuple[int, int, int]:
        """Return initial margin, new-risk margin and maintenance margin at the marks [basis points x wei].

        They are for all positions of the account, or for `sizes_by_market`.
        """
        initial = risk = maintenance = 0
        for m, size in (
            self.read_position_sizes(account_name) if sizes_by_market is None else sizes_by_market
        ).items():
            price = self.read_mark(m)
            notional = abs(size) * price
            initial += compute_initial_margin(self.step, m, notional)
            risk += compute_new_risk_margin(self.step, m, notional, self.count_larger_side_lots(m) * price)
            maintenance += compute_maintenance_margin(self.step, m, notional)
        return initial, risk, maintenance

    def book_missing_pending_loss(self, name: str) -> bool:
        """Book an account's shortfall of the last ended cycle; return whether it changed."""
        return self._shadow.book_missing_pending_loss(
            name, self._shadow.compute_lot_values_by_market(self._indices, self.lots), 0
        )[0]

    def credit_cash(self, name: str, amount: int) -> None:
        """Add an amount [wei] to an account's cash."""
        self.get_account(name).cash += amount

    # ------------------------------------------------------------------- markets

    @property
    def market_count(self) -> int:
        """Number of perpetual markets."""
        return int(self.read(POLICY, "markets"))

    def read_mark(self, market_id: int) -> int:
        """Return a market's mark price of one lot [wei], or 0 before the first mark."""
        return self._shadow.get_market(market_id).price

    def count_larger_side_lots(self, market_id: int) -> int:
        """Return the larger of a market's long and short open interest [lots]."""
        return max(self.lots[market_id])

    def has_ended(self, market_id: int) -> bool:
        """Return whether a market has ended at its final price."""
        return bool(self.clock.ended >> market_id & 1)

    def is_delisted(self, market_id: int) -> bool:
        """Return whether a market's end has been announced."""
        return bool(self.read(POLICY, "underlyings", market_id).ends_at)

    def update_mark_to_now(self, market_id: int) -> bool:
        """Mark a market at the current reports; return whether there is a current price.

        Without a current price the last mark stays, and only funding is charged.
        """
        if market_id not in self._indices or self.has_ended(market_id):
            return False
        found = compute_lot_price_and_range(self.step, market_id)[0]
        is_fresh = 0 < found <= bounds.MAX_LOT_PRICE
        if is_fresh:
            self._fresh[market_id] = compute_lot_price_and_range(self.step, market_id)
        price = found if is_fresh else self.read_mark(market_id)
        turn = compute_maintenance_margin(self.step, market_id, price) // (4 * BASIS_POINTS)
        self._shadow.move_market(
            market_id, MarketTarget(price, self._indices[market_id], self.now), turn, self.lots[market_id]
        )
        return is_fresh

    def accrue_account_markets(self, name: str) -> bool:
        """Mark all markets of an account's positions; return whether all have a current price."""
        return all([self.update_mark_to_now(m) for m in sorted(self.read_position_sizes(name))])

    def read_lots_in_freshly_marked_markets(self, account_name: str) -> dict[int, int]:
        """Return an account's positions [lots] in markets that were marked at a current price."""
        return {m: size for m, size in self.read_position_sizes(account_name).items() if m in self._fresh}

    def compute_best_range_value_gain(self, name: str) -> int:
        """Return the gain of an account's freshly marked positions at the better end of the range [wei]."""
        lots = self.read_lots_in_freshly_marked_markets(name).items()
        return sum(size * (self._fresh[m][1 + (size > 0)] - self.read_mark(m)) for m, size in lots)

    def is_mark_too_far_from_feed(self, market_id: int) -> bool:
        """Return whether a market's mark differs from the feed's price by more than new risk allows."""
        most, base = self.step.get_contract(TRADING).divergence, self.read(POLICY, "underlyings", market_id)
        prices = self.read("PriceFeed", "prices", base.feed)
        index = _convert_to_lot_price(base.lot, prices.current) if self.now <= prices.fresh_until else 0
        return bool(most) and abs(self.read_mark(market_id) - index) * BASIS_POINTS > index * most

    def compute_worst_range_value_loss(self, name: str) -> int:
        """Return the loss of an account's freshly marked positions at the worse end of the range [wei]."""
        lots = self.read_lots_in_freshly_marked_markets(name).items()
        return sum(size * (self.read_mark(m) - self._fresh[m][1 + (size < 0)]) for m, size in lots)

    def is_open_interest_insured(self) -> bool:
        """Return whether spendable insurance covers the required share of all open interest.

        Markets that ask for no insurance and markets that have ended do not count.
        """
        needed = 0
        for m in range(self.market_count):
            insured = self.read(POLICY, "underlyings", m).insured
            if insured and not has_ended(self.step, self.read, m):
                needed += self.count_larger_side_lots(m) * self.read_mark(m) * insured
        return needed <= self.compute_insurance_within_cap() * BASIS_POINTS

    def compute_insurance_within_cap(self) -> int:
        """Return the insurance [wei], or the rest of its spending cap for this period if that is less."""
        fund = get_market_fund_name(self.step)
        has, cap = self.read(fund, "insurance"), self.read(fund, "cap") * WAD
        is_today = has.bucket == self.now // self.step.get_contract(fund).length
        return int(min(has.amount, max(0, cap - has.spent * is_today)))

    def compute_takeover_reward(self, taken_notional: int) -> int:
        """Return the reward for taking over lots of seized accounts, of this notional [wei].

        It is paid from bonds, by the lots' share by value of all lots without an owner.
        """
        everything = sum(
            abs(self.lots[m][0] - self.lots[m][1]) * self.read_mark(m) for m in range(self.market_count)
        )
        return int(self.read(MARKET, REWARDS) * taken_notional // everything) if everything else 0

    def pay_reward(self, name: str, amount: int) -> None:
        """Credit a reward from bonds [wei] to an account as a deposit."""
        self._shadow.credit_deposit(name, amount)

    def exchange_lots(self, market_id: int, name: str, delta: int, price: int, gets: int) -> None:
        """Add `delta` lots at `price` to an account's position, and credit `gets` [wei] to its cash.

        Raises UnknownStateError if a figure may exceed its storage width.
        """
        old = self.read_position_size(name, market_id)
        self._shadow.set_position(name, market_id, old + delta, price - self.read_mark(market_id))
        owner = self._shadow.get_account(name)
        if owner is not None and max(abs(owner.cash), abs(owner.lots[market_id].base)) >= _FIGURES:
            raise UnknownStateError  # whether it is more than a figure can hold
        for side, way in ((0, 1), (1, -1)):
            self.lots[market_id][side] += max(0, way * (old + delta)) - max(0, way * old)
        self.credit_cash(name, gets)


def _convert_to_lot_price(lot: int, price: int) -> int:
    """Return the price of a lot [wei] at a feed price [ray], rounded down and at least 1.

    The result is 0 for a price of 0.
    """
    return max(1, price * lot // RAY) if price else 0
