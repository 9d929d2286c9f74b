"""The record of the margin market in a run: liquidations, insolvent accounts, and who paid for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from backstop.keepers.deleveraging import Takings, standings, takings
from backstop.model.interfaces import LAST
from backstop.model.margin_book import Account
from backstop.model.margin_market import MarginMarket
from backstop.model.ranking import Ranking
from backstop.model.state import Contract, Log
from backstop.simulation.bearers import PAYERS
from backstop.simulation.run_directory import Row

MOST_PAYERS = 10


@dataclass
class FreezeRecord:
    """One market frozen for one insolvent position; wad. It ends `finished` or `lapsed`, or is `open`."""

    id: int
    step: int
    at: int
    until: int
    symbol: str
    owner: str
    lots: int
    loss: int
    others: int
    gains: Mapping[str, int]  # of the other side, as they count
    policies: Takings  # what each policy would take
    closed: int = 0  # lots
    taken: int = 0
    left: int = 0
    charged: set[str] = field(default_factory=set)
    finished_at: int | None = None

    def end(self, now: int) -> tuple[int | None, str]:
        """Return when the freeze was over, and how."""
        if self.finished_at is not None:
            return self.finished_at, "finished"
        return (self.until, "lapsed") if now > self.until else (None, "open")


@dataclass
class Payer:
    """The sums that an account paid in freezes, and its gain, with what it had paid of it before; wad."""

    paid: int = 0
    gain: int = 0


@dataclass
class MarginRecorder:
    """A listener to the margin market's events; the model tells how accounts stood at a freeze."""

    contracts: Mapping[str, Contract]
    symbols: tuple[str, ...]  # of the markets
    names: Mapping[str, str]  # address -> account name
    accounts: set[str] = field(default_factory=set)
    freezes: list[FreezeRecord] = field(default_factory=list)
    payments: list[Row] = field(default_factory=list)
    liquidations: list[Row] = field(default_factory=list)
    payers: dict[str, Payer] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)  # kind of payment -> wad
    settled: dict[str, int] = field(default_factory=dict)  # who was insolvent -> wad that others paid
    owed: dict[str, int] = field(default_factory=dict)  # the same -> wad that it owed in all
    from_fund: tuple[int, int] = (0, 0)  # of the last loss: wad of withdrawn profits, of insurance

    @property
    def market(self) -> MarginMarket:
        return cast(MarginMarket, self.contracts["MarginMarket"])

    @property
    def deleverager(self) -> Ranking:
        return cast(Ranking, self.contracts["MarginDeleverager"])

    # ------------------------------------------------------------------- events

    def event(self, step: int, timestamp: int, log: Log) -> None:
        """Record an event; they come in the order of the chain."""
        hear = _HEARD.get((log.contract, log.event))
        if hear is not None:
            hear(self, step, timestamp, *log.values)

    def _deposited(self, step: int, at: int, owner: str, payer: str, amount: int) -> None:
        self.accounts.add(owner)

    def _liquidated(self, step: int, at: int, owner: str, liquidator: str, market: int, *how: int) -> None:
        who = owner, self._name(owner), liquidator, self._name(liquidator)
        self.liquidations.append((step, at, self.symbols[market], *who, *how))

    def _absorbed(self, step: int, at: int, loss: int, clawed_back: int, insured: int) -> None:
        # For whom, the market says next.
        self.from_fund = clawed_back, insured

    def _covered(self, step: int, at: int, owner: str, loss: int, paid: int) -> None:
        self.owed[owner] = self.settled.get(owner, 0) + loss
        for kind, amount in zip(("clawed_back", "insured"), self.from_fund, strict=True):
            self._pay(step, at, kind, amount, owner)

    def _begun(
        self, step: int, at: int, id: int, owner: str, market: int, lots: int, loss: int, others: int
    ) -> None:
        until, symbol = self.market.freezes[()].until, self.symbols[market]
        found = standings(self.deleverager, self.market)
        gains = {winner: standing.gain for winner, standing in found.items()}
        policies = takings(self.deleverager, self.market)
        freeze = FreezeRecord(id, step, at, until, symbol, owner, lots, loss, others, gains, policies)
        self.freezes.append(freeze)

    def _deleveraged(self, step: int, at: int, id: int, winner: str, lots: int, paid: int) -> None:
        freeze, payer = self.freezes[-1], self.payers.setdefault(winner, Payer())
        if winner not in freeze.charged:
            payer.gain = payer.paid + freeze.gains[winner]
        payer.paid += paid
        freeze.charged.add(winner)
        freeze.closed += lots
        freeze.taken += paid
        place = freeze.owner, freeze.symbol, winner
        self._pay(step, at, "taken", paid, *place, freeze.id, lots, freeze.gains[winner])

    def _finished(self, step: int, at: int, id: int, lots_left: int, loss_left: int) -> None:
        self.freezes[-1].finished_at = at

    def _left(self, step: int, at: int, owner: str, market: int, amount: int) -> None:
        if self.freezes and self.freezes[-1].finished_at is None and self.freezes[-1].owner == owner:
            self.freezes[-1].left = amount
        self._pay(step, at, "left", amount, owner, self.symbols[market])
        self.owed[owner] = max(self.owed.get(owner, 0), self.settled.get(owner, 0))

    def _posted(self, step: int, at: int, market: int, amount: int) -> None:
        self._pay(step, at, "posted", amount, symbol=self.symbols[market])

    def _cut(self, step: int, at: int, account: str, market: int, amount: int) -> None:
        self._pay(step, at, "cut", amount, symbol=self.symbols[market], payer=account)

    def _pay(
        self,
        step: int,
        at: int,
        kind: str,
        amount: int,
        owner: str | None = None,
        symbol: str | None = None,
        payer: str | None = None,
        freeze: int | None = None,
        lots: int = 0,
        gain: int | None = None,
    ) -> None:
        if amount == lots == 0:
            return
        who = owner, self._name(owner), payer, self._name(payer)
        self.payments.append((step, at, kind, freeze, symbol, *who, lots, amount, gain))
        self.totals[kind] = self.totals.get(kind, 0) + amount
        if owner is not None:
            self.settled[owner] = self.settled.get(owner, 0) + amount

    def _name(self, address: str | None) -> str | None:
        return None if address is None else self.names.get(address, "")

    # ------------------------------------------------------------------ results

    def freeze_rows(self, now: int) -> list[Row]:
        """Return the rows of the table of freezes."""
        return [
            (
                each.step,
                each.at,
                each.id,
                each.symbol,
                each.owner,
                self._name(each.owner),
                each.lots,
                each.loss,
                each.others,
                len(each.charged),
                each.closed,
                each.taken,
                each.left,
                *each.end(now),
                *each.policies,
            )
            for each in self.freezes
        ]

    def summary(self, start: int) -> dict[str, Any]:
        """Return the margin market's part of summary.json; times count from `start`."""
        market = self.market
        held = {owner for owner, account in market.accounts.items() if account != Account()}
        unpaid = sum(market.interests[m].unpaid for m in range(len(self.symbols)))
        most = sorted(self.payers.items(), key=lambda entry: (-entry[1].paid, entry[0]))
        return {
            "accounts": len(self.accounts | held),
            "liquidations": len(self.liquidations),
            "bankruptcies": len(self.owed),
            "loss_wad": str(sum(self.owed.values())),
            **{f"{kind}_wad": str(self.totals.get(kind, 0)) for kind in PAYERS},
            "unpaid_wad": str(unpaid),
            "left_alone_wad": str(sum(max(0, -self.equity(owner)) for owner in held)),
            "freezes": [
                {
                    "at": each.at - start,
                    "market": each.symbol,
                    "owner": self._name(each.owner) or each.owner,
                    "lots": each.lots,
                    "loss_wad": str(each.loss),
                    "taken_wad": str(each.taken),
                    "charged": len(each.charged),
                    "policies": {
                        f"{policy}_wad": str(taken) for policy, taken in each.policies._asdict().items()
                    },
                }
                for each in self.freezes
            ],
            "payers": [
                {
                    "account": self._name(owner) or owner,
                    "paid_wad": str(payer.paid),
                    "gain_wad": str(payer.gain),
                }
                for owner, payer in most[:MOST_PAYERS]
                if payer.paid
            ],
        }

    def equity(self, owner: str) -> int:
        """Return the equity of an account at the last prices, wad; below zero if it owes."""
        return self.market._worth(owner, self.market.accounts[owner], LAST).equity


_HEARD: dict[tuple[str, str], Callable[..., None]] = {
    ("MarginMarket", "Deposited"): MarginRecorder._deposited,
    ("MarginMarket", "Liquidated"): MarginRecorder._liquidated,
    ("MarginFund", "LossAbsorbed"): MarginRecorder._absorbed,
    ("MarginMarket", "LossCovered"): MarginRecorder._covered,
    ("MarginDeleverager", "Begun"): MarginRecorder._begun,
    ("MarginDeleverager", "Deleveraged"): MarginRecorder._deleveraged,
    ("MarginDeleverager", "Finished"): MarginRecorder._finished,
    ("MarginMarket", "LossLeft"): MarginRecorder._left,
    ("MarginMarket", "ShortfallPosted"): MarginRecorder._posted,
    ("MarginMarket", "GainCut"): MarginRecorder._cut,
}
