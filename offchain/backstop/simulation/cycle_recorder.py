"""The record of a margin market in a run: liquidations, insolvent accounts, and payments, to the wei.

The loss beyond the accounts' own margin is the booked amount. It is paid, in this order, by insurance, by
winners of the same cycle, and, if it was late, by unvested profits, insurance, the protocol and later gains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from backstop.contract_base import ZERO_ADDRESS, Contract, Log
from backstop.keepers.perpetual_vault_keeper import POOL
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.price_path import sum_values_of_all_positions
from backstop.simulation.loss_bearers import PAYERS
from backstop.simulation.run_directory import Row

MOST_PAYERS = 10
_SIDES = ("long", "short")


@dataclass
class CycleRecorder:
    """Recorder of the margin market in a run, which listens to the market's events.

    The model contract supplies the result of each cycle once it is final.
    """

    contracts: Mapping[str, Contract]
    symbols: tuple[str, ...]  # of the markets
    names: Mapping[str, str]  # address -> account name
    policy: str  # of MARGIN_POLICIES
    accounts: set[str] = field(default_factory=set)
    insolvent: set[str] = field(default_factory=set)
    seized: int = 0  # accounts whose positions were taken from them
    relieved: int = 0  # times that somebody took such lots over
    payments: list[Row] = field(default_factory=list)
    liquidations: list[Row] = field(default_factory=list)
    closings: list[Row] = field(default_factory=list)  # of accounts, against lots that were nobody's
    ended: list[dict[str, Any]] = field(default_factory=list)  # markets that made their last move
    withdrawn: dict[str, int] = field(default_factory=dict)  # account -> wad, what vests with it
    pool_in: int = 0  # wad that members have put into the pool that takes over positions
    pool_out: int = 0  # wad that they were paid, what vests with it
    pool_left: dict[str, int] = field(default_factory=dict)  # member -> when it was paid
    pool_rewards: int = 0  # wad, after insurance's share
    pool_takes: int = 0  # times that it took positions or lots over
    pool_sales: int = 0  # times that somebody traded with it
    totals: dict[str, int] = field(default_factory=dict)  # kind of payment -> wad
    haircuts: dict[str, int] = field(default_factory=dict)  # account -> wad that its gains gave
    all_haircuts: dict[str, int] = field(default_factory=dict)  # the same once all are up to date
    cycles: list[dict[str, Any]] = field(default_factory=list)  # final ones with losses, by market and side

    @property
    def perpetual_market(self) -> PerpetualMarket:
        return cast(PerpetualMarket, self.contracts["PerpetualMarket"])

    @property
    def pool(self) -> str | None:
        """Address of the backstop pool, which takes over positions; None if it is not deployed."""
        return self.contracts[POOL].address if POOL in self.contracts else None

    # ------------------------------------------------------------------- events

    def record_event(self, step: int, timestamp: int, log: Log) -> None:
        """Update the record for one event; events must come in the order of the chain."""
        hear = _HEARD.get((log.contract, log.event))
        if hear is not None:
            hear(self, step, timestamp, *log.values)

    def _note_depositing_account(self, step: int, at: int, owner: str, payer: str, amount: int) -> None:
        self.accounts.add(owner)

    def _append_liquidation_row(
        self, step: int, at: int, owner: str, liquidator: str, market: int, *how: int
    ) -> None:
        who = owner, self._get_name_or_empty(owner), liquidator, self._get_name_or_empty(liquidator)
        self.liquidations.append((step, at, self.symbols[market], *who, *how))
        if liquidator == self.pool:
            _, _, reward, fee = how
            self.pool_takes += 1
            self.pool_rewards += reward - fee

    def _count_takeover(self, step: int, at: int, taker: str, market: int, delta: int, price: int) -> None:
        self.relieved += 1
        self.pool_takes += taker == self.pool

    def _count_trade_if_pool_is_party(self, step: int, at: int, maker: str, taker: str, *what: Any) -> None:
        self.pool_sales += self.pool in (maker, taker)

    def _sum_pool_deposits(
        self, step: int, at: int, sender: str, owner: str, assets: int, shares: int
    ) -> None:
        self.pool_in += assets

    def _sum_pool_withdrawals(
        self, step: int, at: int, sender: str, receiver: str, owner: str, assets: int, shares: int
    ) -> None:
        self.pool_out += assets
        self.pool_left[owner] = at

    def _record_deleveraging(
        self, step: int, at: int, owner: str, market: int, delta: int, price: int, prover: str
    ) -> None:
        # The model has them closed already.
        whole = abs(delta) + abs(self.perpetual_market.positions[owner, market].size)
        self.closings.append(
            (step, at, self.symbols[market], owner, self._get_name_or_empty(owner), abs(delta), whole, price)
        )

    def _count_seizure(self, step: int, at: int, owner: str, finder: str) -> None:
        self.insolvent.add(owner)
        self.seized += 1

    def _add_owner_to_insolvent_set(
        self, step: int, at: int, owner: str, cycle: int, amount: int, late: int
    ) -> None:
        self.insolvent.add(owner)

    def _record_absorbed_loss(self, step: int, at: int, loss: int, clawed_back: int, insured: int) -> None:
        self._record_payment(step, at, "clawed_back", clawed_back)
        self._record_payment(step, at, "insured", insured)

    def _record_cycle_result(self, step: int, at: int, pending: int, insured: int, later: int) -> None:
        borne = 0
        for m, symbol in enumerate(self.symbols):
            gains, losses = (
                self.perpetual_market.totals[m, pending - 1],
                self.perpetual_market.losses[m, pending - 1],
            )
            for side, gained, lost in zip(_SIDES, gains, losses, strict=True):
                borne += lost
                if lost:
                    figures = {"gained_wad": str(gained), "borne_wad": str(lost)}
                    place = {"at": at, "cycle": pending - 1, "market": symbol, "side": side}
                    self.cycles.append(place | figures)
        self._record_payment(step, at, "taken", borne - later)
        self._record_payment(step, at, "cut", later)

    def _record_posted_shortfall(self, step: int, at: int, amount: int) -> None:
        self._record_payment(step, at, "posted", amount)

    def _record_withdrawal(
        self, step: int, at: int, owner: str, receiver: str, amount: int, own: int, profit: int
    ) -> None:
        self.withdrawn[owner] = self.withdrawn.get(owner, 0) + own + profit
        # While losses are late, whoever leaves leaves its part of them behind.
        self._record_payment(step, at, "forgone", amount - own - profit, owner)

    def _record_market_final_price(self, step: int, at: int, market: int, price: int) -> None:
        self.ended.append({"market": self.symbols[market], "at": at, "price_wei": str(price)})

    def _add_account_haircut(
        self, step: int, at: int, owner: str, cycle: int, haircut: int, *booked: int
    ) -> None:
        self.haircuts[owner] = self.haircuts.get(owner, 0) + haircut

    def _record_payment(self, step: int, at: int, kind: str, amount: int, payer: str | None = None) -> None:
        if amount:
            self.payments.append((step, at, kind, payer, self._get_name_or_empty(payer), amount))
            self.totals[kind] = self.totals.get(kind, 0) + amount

    def _get_name_or_empty(self, address: str | None) -> str | None:
        return None if address is None else self.names.get(address, "")

    # ------------------------------------------------------------------ results

    def summarise_margin_market(self, run_start: int) -> dict[str, Any]:
        """Return the margin market's part of `summary.json`; its times count from `run_start`.

        `loss_wad` is the whole booked loss: paid, pending and unpaid amounts. The model's state stays
        unchanged.
        """
        market = self.perpetual_market
        pending = sum(sum(market.losses[m, market.clocks[()].cycle - 1]) for m in range(len(self.symbols)))
        late = int(market.late_table[()])
        mark = market.world.mark()
        try:
            return self._compute_figures(run_start, pending, late)
        finally:
            market.world.roll_back(mark)

    def _compute_figures(self, start: int, pending: int, late: int) -> dict[str, Any]:
        """Return the figures of the summary after all accounts are updated to the current cycle."""
        market, haircuts = self.perpetual_market, dict(self.haircuts)
        before = len(market.world.logs)
        for owner in list(market.accounts):
            while market.accounts[owner].cycle < market.clocks[()].cycle:
                market.update_account(ZERO_ADDRESS, owner)
        for log in market.world.logs[before:]:
            if log.event == "Settled":
                haircuts[log.values[0]] = haircuts.get(log.values[0], 0) + log.values[2]
        self.all_haircuts = haircuts
        alone, inside = 0, list[int]()
        for owner in market.accounts:
            standing = market._compute_standing(owner)
            inside.append(max(0, standing.own - standing.haircut))
            booked = market.late_of[owner] + sum(
                market.pendings[owner, m].booked for m in range(len(self.symbols))
            )
            alone += max(0, standing.haircut - standing.own - booked)
        cash = sum(each.cash for each in market.accounts.values()) + sum_values_of_all_positions(market)
        others = market.bonds[()] + market.pot[()].value + market.fee_table[()]
        most = sorted(haircuts.items(), key=lambda entry: (-entry[1], entry[0]))
        sides = {symbol: market.lots[m] for m, symbol in enumerate(self.symbols)}
        left = {symbol: short - long for symbol, (long, short) in sides.items() if short != long}
        return {
            "policy": self.policy,
            "accounts": len(self.accounts | set(market.accounts)),
            "liquidations": len(self.liquidations),
            "bankruptcies": len(self.insolvent),
            "loss_wad": str(sum(self.totals.values()) + pending + late),
            **{f"{kind}_wad": str(self.totals.get(kind, 0)) for kind in PAYERS},
            "forgone_wad": str(self.totals.get("forgone", 0)),
            "pending_wad": str(pending),
            "unpaid_wad": str(late),
            "left_alone_wad": str(alone),
            "gap_wad": str(cash + others - market.holdings[()] - market.late_table[()]),
            "ended": [{**each, "at": each["at"] - start} for each in self.ended],
            "withdrawn_wad": str(sum(self.withdrawn.values())),
            "inside_wad": str(sum(inside)),
            "emptied": sum(each == 0 for each in inside),
            "seized": self.seized,
            "relieved": self.relieved,
            "left_lots": left,
            "deleveraged": len({owner for _, _, _, owner, *_ in self.closings}),
            "closings": self._sum_closings_by_market_second(start),
            "cycles": [{**each, "at": each["at"] - start} for each in self.cycles],
            "payers": [
                {"account": self._get_name_or_empty(owner) or owner, "paid_wad": str(paid)}
                for owner, paid in most[:MOST_PAYERS]
                if paid
            ],
        }

    def _sum_closings_by_market_second(self, start: int) -> list[dict[str, Any]]:
        """Return the lots closed by deleveraging, summed for each market and second.

        `whole_lots` is the number of lots that the same accounts would lose if whole positions were closed.
        """
        found: dict[tuple[int, str], dict[str, Any]] = {}
        for _, at, symbol, _, _, lots, whole, _ in self.closings:
            nothing = {"at": at - start, "market": symbol, "accounts": 0, "lots": 0, "whole_lots": 0}
            entry = found.setdefault((at, symbol), nothing)
            entry["accounts"] += 1
            entry["lots"] += lots
            entry["whole_lots"] += whole
        return list(found.values())


_HEARD: dict[tuple[str, str], Callable[..., None]] = {
    ("PerpetualMarket", "Deposited"): CycleRecorder._note_depositing_account,
    ("PerpetualTrading", "Liquidated"): CycleRecorder._append_liquidation_row,
    ("PerpetualTrading", "Taken"): CycleRecorder._count_takeover,
    ("PerpetualTrading", "Deleveraged"): CycleRecorder._record_deleveraging,
    ("MarginOrders", "Filled"): CycleRecorder._count_trade_if_pool_is_party,
    (POOL, "Deposit"): CycleRecorder._sum_pool_deposits,
    (POOL, "Withdraw"): CycleRecorder._sum_pool_withdrawals,
    ("PerpetualMarket", "Seized"): CycleRecorder._count_seizure,
    ("PerpetualMarket", "Booked"): CycleRecorder._add_owner_to_insolvent_set,
    ("MarginFund", "LossAbsorbed"): CycleRecorder._record_absorbed_loss,
    ("PerpetualMarket", "Rolled"): CycleRecorder._record_cycle_result,
    ("MarginFund", "ShortfallPosted"): CycleRecorder._record_posted_shortfall,
    ("PerpetualMarket", "Withdrawn"): CycleRecorder._record_withdrawal,
    ("PerpetualMarket", "MarketEnded"): CycleRecorder._record_market_final_price,
    ("PerpetualMarket", "Settled"): CycleRecorder._add_account_haircut,
}
