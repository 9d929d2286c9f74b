"""The record of a run: rows of its tables, out of actions, events and blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backstop.contract_base import Log
from backstop.deployment.contracts_by_parameter_name import name_stability_pool
from backstop.keepers.call_costs import find_call_gas
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY
from backstop.model.dutch_auction import Terms
from backstop.simulation.cycle_recorder import CycleRecorder
from backstop.simulation.discount_sale_totals import DiscountSaleTotals
from backstop.simulation.margin_call_workout_and_mode_recorder import GuardRecorder
from backstop.simulation.run_directory import Row
from backstop.simulation.stability_pool_totals import StabilityPoolTotals
from backstop.simulation.unsafe_vault_figures import (
    compute_debt_beyond_collateral,
    compute_repayment_to_safety,
)
from backstop.system import Action, Outcome

KINDS = {
    "LossRecognised": "recognised",
    "LossCovered": "covered",
    "LossReserved": "reserved",
    "ReservationReleased": "released",
    "LossRecovered": "recovered",
    "LossCarried": "carried",
}
"""The waterfall's events, by their name in a row of its table."""


@dataclass
class AuctionRecord:
    """Record of one collateral auction from its start to its end."""

    id: int
    collateral_type: int
    owner: str
    started_at: int
    lot: int
    top: int
    target: int
    principal: int
    price_since: int  # on the clock of auctions
    ended_at: int | None = None
    sold: int = 0
    returned: int = 0
    raised: int = 0
    lost: int = 0
    resets: int = 0
    ended_by: str = "open"
    worth: int = 0  # of what was sold, at the market prices of the takes, wad

    @property
    def owner_loss(self) -> int:
        """Market value of the sold collateral beyond the principal that the owner was freed of [wad]."""
        return max(0, self.worth - self.principal // RAY)


@dataclass
class RunRecorder:
    """Recorder of a run: rows of all tables except the keepers', and sums for the summary."""

    symbols: tuple[str, ...]
    stages: tuple[str, ...]
    types: tuple[str, ...]  # the symbols, then the names of facilitators
    auction_terms: dict[int, Terms] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    auctions: dict[int, AuctionRecord] = field(default_factory=dict)
    covered: dict[str, int] = field(default_factory=dict)
    created: int = 0
    opened: list[int] = field(default_factory=list)
    inventory: dict[str, int] = field(default_factory=dict)  # sender -> worth of what it took and kept, wad
    # Who keeps what it draws has its collateral from outside, to be given back: prices alone earn nothing.
    borrowed: dict[tuple[str, int], int] = field(default_factory=dict)  # sender and type -> wad
    equity_price: int = 0  # outside, ray
    auction_clock: int = 0  # seconds by which prices of lots fall, of the action that is recorded
    worth: int = 0  # of vaults that settlement has skimmed, rad
    supply: int | None = None  # wad, when settlement closed the books
    claims: dict[str, list[int]] = field(default_factory=dict)  # series -> wad issued, wad repaid
    worst: dict[int, int] = field(default_factory=dict)  # collateral type -> lowest market price
    guards: GuardRecorder = field(default_factory=GuardRecorder)
    discount_sales: dict[int, DiscountSaleTotals] = field(default_factory=dict)  # by collateral type
    stability_pools: dict[int, StabilityPoolTotals] = field(default_factory=dict)  # by type, of all with one
    withdrawals: dict[tuple[str, str], int] = field(default_factory=dict)  # stability pool, member -> wad
    read_sale_price: Callable[[int], int] | None = None  # of a type, now, before any bonus, ray
    # What a vault of a type and an owner has now: collateral [wad] and debt [rad].
    read_vault: Callable[[int, str], tuple[int, int]] | None = None
    liquidation_ratios: tuple[int, ...] = ()  # by collateral type, basis points
    over_liquidated: list[int] = field(default_factory=list)  # by collateral type, rad
    margin: CycleRecorder | None = None  # if there is a margin market

    def __post_init__(self) -> None:
        self.opened = [0] * len(self.symbols)
        self.over_liquidated = [0] * len(self.symbols)
        self.covered = dict.fromkeys(self.stages, 0)
        for name in ("actions", "events", "state", "system", "takes", "waterfall"):
            self.tables[name] = []

    # ------------------------------------------------------------------ actions

    def record_action(
        self,
        step: int,
        timestamp: int,
        action: Action,
        sender_name: str,
        outcome: Outcome,
        market_prices: tuple[int, ...],
    ) -> None:
        """Record one applied action with its outcome and events.

        `market_prices` are outside prices by collateral type [ray].
        """
        gas = find_call_gas(action.contract, action.method)
        self.tables["actions"].append(
            (
                step,
                timestamp,
                action.contract,
                action.method,
                action.args,
                action.sender,
                sender_name,
                outcome.ok,
                outcome.reason,
                gas,
            )
        )
        if outcome.ok and action.method == "deposit_and_draw":
            c, _, locked, drawn, receiver = action.args
            if receiver == action.sender:
                self.borrowed[receiver, c] = self.borrowed.get((receiver, c), 0) + locked
            else:
                # It gives its collateral away, and buys what it likes outside.
                self._add_inventory_worth(action.sender, drawn - locked * market_prices[c] // RAY)
        elif outcome.ok and action.method == "repay_and_withdraw":
            c, _, _, withdrawn, receiver = action.args
            if (receiver, c) in self.borrowed:
                self.borrowed[receiver, c] -= withdrawn
        for log in outcome.logs:
            self.guards.record_event(timestamp, log)
            if self.margin is not None:
                self.margin.record_event(step, timestamp, log)
            self.tables["events"].append((step, timestamp, log.contract, log.event, log.values))
            if log.contract == "CollateralAuction":
                self._record_auction(step, timestamp, log, action, sender_name, market_prices)
            elif log.event == "CollateralSold":
                c, owner, _, collateral, _, _, principal = log.values
                self._add_over_liquidation(c, owner, collateral, principal)
                if c in self.stability_pools:
                    self._record_pool_offset(log, action, market_prices)
                else:
                    self._record_discount_sale(log, action, market_prices)
            elif log.contract == "LiquidationEngine" and log.event == "Liquidated":
                _, c, owner, collateral, principal, _ = log.values
                self._add_over_liquidation(c, owner, collateral, principal)
                if (pool := self.stability_pools.get(c)) is not None:
                    pool.auctioned += principal
            elif log.contract == "Settlement":
                self._record_settlement(log, market_prices)
            elif log.contract == "LossWaterfall":
                self._record_loss(step, timestamp, log)
            elif log.event == "Taken":
                self._add_bought_equity_worth(log, action)
            elif log.event == "LossRecorded":
                self.claims.setdefault(log.contract, [0, 0])[0] += log.values[1]
            elif log.event == "Withdrawn" and log.contract.startswith(name_stability_pool("")):
                owner, amount = log.values
                key = log.contract, owner
                self.withdrawals[key] = self.withdrawals.get(key, 0) + amount
            elif log.event == "Repaid" and log.contract.endswith(".Claims"):
                self.claims.setdefault(log.contract, [0, 0])[1] += log.values[2]

    def _add_inventory_worth(self, owner: str, worth: int) -> None:
        """Add to the value that an account holds outside the protocol [wad]."""
        self.inventory[owner] = self.inventory.get(owner, 0) + worth

    def _record_auction(
        self,
        step: int,
        timestamp: int,
        log: Log,
        action: Action,
        sender_name: str,
        market_prices: tuple[int, ...],
    ) -> None:
        values: tuple[Any, ...] = log.values
        if log.event == "AuctionStarted":
            auction_id, c, owner, lot, top, target, principal = values
            since = self.auction_clock
            self.auctions[auction_id] = AuctionRecord(
                auction_id, c, owner, timestamp, lot, top, target, principal, since
            )
        elif log.event == "Taken":
            auction_id, taker, collateral, paid, _ = values
            auction = self.auctions[auction_id]
            c = auction.collateral_type
            price, _ = self.auction_terms[c].price(auction.top, self.auction_clock - auction.price_since)
            worth = collateral * market_prices[c] // RAY
            auction.sold += collateral
            auction.raised += paid
            auction.worth += worth
            if taker == action.sender:
                # It keeps what it took; a flash taker has sold it already.
                self._add_inventory_worth(taker, worth)
            symbol = self.symbols[c]
            row = (
                step,
                timestamp,
                auction_id,
                symbol,
                taker,
                sender_name,
                collateral,
                paid,
                price,
                market_prices[c],
            )
            self.tables["takes"].append(row)
        elif log.event == "AuctionReset":
            auction = self.auctions[values[0]]
            auction.resets += 1
            auction.top, auction.price_since = values[1], self.auction_clock
        elif log.event == "AuctionEnded":
            auction = self.auctions[values[0]]
            auction.ended_at, auction.ended_by, auction.returned = timestamp, "cleared", values[3]
        elif log.event == "AuctionClosed":
            auction = self.auctions[values[0]]
            auction.ended_at, auction.ended_by, auction.lost = timestamp, "closed", values[2]
        elif log.event == "AuctionUnwound":
            auction = self.auctions[values[0]]
            auction.ended_at, auction.ended_by, auction.returned = timestamp, "unwound", values[3]
            auction.lost = values[4]

    def _add_over_liquidation(
        self, collateral_type: int, owner: str, collateral: int, principal: int
    ) -> None:
        """Add the principal that a liquidation closed beyond the repayment needed to make its vault safe."""
        assert self.read_sale_price is not None and self.read_vault is not None
        locked, debt = self.read_vault(collateral_type, owner)
        needed = compute_repayment_to_safety(
            locked + collateral,
            debt + principal,
            self.read_sale_price(collateral_type),
            self.liquidation_ratios[collateral_type],
        )
        self.over_liquidated[collateral_type] += max(0, principal - needed)

    def _record_discount_sale(self, log: Log, action: Action, market_prices: tuple[int, ...]) -> None:
        values: tuple[Any, ...] = log.values
        c, _, buyer, collateral, fee, _, _ = values
        assert self.read_sale_price is not None
        totals = self.discount_sales.setdefault(c, DiscountSaleTotals())
        totals.add_sale(log, self.read_sale_price(c), market_prices[c])
        if buyer == action.sender:
            # It keeps what it bought; a flash taker has sold it already.
            self._add_inventory_worth(buyer, (collateral - fee) * market_prices[c] // RAY)

    def _record_pool_offset(self, log: Log, action: Action, market_prices: tuple[int, ...]) -> None:
        """Record a stability pool's repayment of a vault, and credit the liquidator's collateral reward."""
        c = log.values[0]
        assert self.read_sale_price is not None
        reward = self.stability_pools[c].add_offset(log, self.read_sale_price(c), market_prices[c])
        _, receiver = action.args
        self._add_inventory_worth(receiver, reward * market_prices[c] // RAY)

    def _add_bought_equity_worth(self, log: Log, action: Action) -> None:
        """Credit bought equity at its outside price, or debit equity paid for surplus."""
        values: tuple[Any, ...] = log.values
        taker, amount = (values[0], -values[2]) if log.contract == "SurplusAuction" else values[1:3]
        if taker == action.sender:
            self._add_inventory_worth(taker, amount * self.equity_price // RAY)

    def _record_settlement(self, log: Log, market_prices: tuple[int, ...]) -> None:
        """Record a settlement event: worth of a settled vault, final supply, or paid-out collateral."""
        values: tuple[Any, ...] = log.values
        if log.event == "Skimmed":
            self.worth += values[4]
        elif log.event == "Fixed":
            self.supply = values[0]
        elif log.event == "Cashed":
            c, owner, _, collateral = values
            self._add_inventory_worth(owner, collateral * market_prices[c] // RAY)

    @property
    def loss_borne_by_holders(self) -> int:
        """Loss of stablecoin holders in settlement [rad]: supply beyond the worth of settled vaults.

        0 before the redemption rates are fixed.
        """
        return 0 if self.supply is None else max(0, self.supply * RAY - self.worth)

    def _record_loss(self, step: int, timestamp: int, log: Log) -> None:
        kind = KINDS.get(log.event)
        if kind is None:
            return
        c, epoch, *place, amount = log.values
        stage = self.stages[place[0]] if place else ""
        if kind == "covered":
            self.covered[stage] += amount
        elif kind == "recognised":
            self.created += amount
        self.tables["waterfall"].append((step, timestamp, c, self.types[c], epoch, kind, stage, amount))

    # -------------------------------------------------------------------- state

    def record_block(self, view: KeeperView, gas_price: int, pending: int) -> None:
        """Record the state after a block, as rows of the tables `state` and `system`.

        `pending` is the number of pending transactions.
        """
        self.guards.end_met_or_lapsed_vault_calls(view)
        buffers, shortfall = 0, 0
        for c, symbol in enumerate(self.symbols):
            market = view.outside.prices[c]
            shortfall += view.get_deficit(c) + compute_debt_beyond_collateral(view, c)
            self.worst[c] = min(self.worst.get(c, market), market)
            prices, debts, pool = (
                view.get_feed_price_record(c),
                view.get_debts(c),
                view.find_constant_product_pool(c),
            )
            locked, performing = view.get_locked_collateral(c), debts.performing
            buffers += view.get_buffer(c)
            self.tables["state"].append(
                (
                    view.timestamp,
                    c,
                    symbol,
                    market,
                    0 if pool is None else pool.stable * RAY // pool.collateral,
                    prices.current,
                    prices.next,
                    locked,
                    performing,
                    view.get_principal_in_auction(c),
                    view.get_deficit(c),
                    view.get_buffer(c),
                    locked * market * BASIS_POINTS // performing if performing >= RAD else None,
                    view.count_unsafe_vaults(c),
                    view.get_terms(c).debt_ceiling,
                )
            )
        self.tables["system"].append(
            (
                view.timestamp,
                view.get_stablecoin_supply(),
                view.get_reserve(),
                buffers,
                view.get_pool_assets("savings"),
                gas_price,
                pending,
                view.count_open_auctions(),
                view.mode,
                shortfall,
            )
        )

    def list_auction_rows(self) -> list[Row]:
        """Return the rows of the run's table `auctions`."""
        return [
            (
                each.id,
                each.collateral_type,
                self.symbols[each.collateral_type],
                each.owner,
                each.started_at,
                each.ended_at,
                each.lot,
                each.sold,
                each.returned,
                each.principal,
                each.target,
                each.raised,
                each.lost,
                each.resets,
                each.ended_by,
            )
            for each in self.auctions.values()
        ]
