"""The property of settlement, of a history: what a vault gives up, and what a stablecoin brings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from backstop.proof.properties.figures.arithmetic import RAY
from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_SETTLEMENT = "Settlement"


@history_property(44, events=["Settlement.*"])
class SettlementPaysByOnePrice:
    """A final price is set once. A vault gives collateral worth its debt, in whole units, no more.

    A stablecoin brings its part of each collateral; what somebody has cashed is that of all of it, however
    often and in whatever parts.
    """

    def __init__(self, model: ModelSystem) -> None:
        tables = model.world.contracts[_SETTLEMENT].tables
        self._prices = {c: final.price for c, final in tables["final_prices"].items() if final.is_final}
        self._bags: Counter[str] = Counter(tables["bag_of"])
        self._cashed: Counter[tuple[int, str]] = Counter(tables["cashed_of"])
        # Who has cashed something before this began to watch.
        self._paid: Counter[tuple[int, str]] = Counter()
        self._unknown = set(self._cashed)

    def see(self, step: Transition, changes: Changes) -> None:
        """Follow prices, bags and payments by their events."""
        if step.action.contract != _SETTLEMENT:
            return
        for log in step.outcome.logs:
            if log.contract != _SETTLEMENT:
                continue
            if log.event == "PriceFixed":
                c, price = log.values
                if c in self._prices:
                    raise Violation(f"type {c} is priced at {price}, before at {self._prices[c]}")
                self._prices[c] = price
            elif log.event == "Skimmed":
                self._skim(step, *log.values)
            elif log.event == "ShareFixed":
                c, share = log.values
                salvage = step.after("VaultEngine", "ledger.salvage", c)
                supply = step.after("Stablecoin", "erc20.totalSupply")
                if not share * supply <= salvage * RAY < (share + 1) * supply:
                    raise Violation(f"type {c}: {share} for each of {supply} of {salvage}")
            elif log.event == "Redeemed":
                self._bags[log.values[0]] += log.values[1]
            elif log.event == "Cashed":
                self._cash(step, *log.values)

    def _skim(self, step: Transition, c: int, owner: str, taken: int, debt: int, worth: int) -> None:
        old = step.before("VaultEngine", "vaults", (c, owner))
        new = step.after("VaultEngine", "vaults", (c, owner))
        unit, price = self._unit(step, c), self._prices[c]
        owed = old.normalized_debt * step.before("VaultEngine", "ledger.debts", c).accumulated_rate
        all_of_it = taken == old.locked_collateral
        fair = taken * price >= debt and (taken - unit) * price < debt and taken % unit == 0
        if debt != owed or not (all_of_it or fair) or new.locked_collateral != old.locked_collateral - taken:
            raise Violation(f"vault {c, owner} gives {taken} of {old} for {debt} at {price}")
        if worth != (min(debt, taken * price) if price else debt):
            raise Violation(f"vault {c, owner}: {taken} at {price} counts as {worth}")

    def _cash(self, step: Transition, c: int, owner: str, amount: int, collateral: int) -> None:
        key = c, owner
        self._cashed[key] += amount
        self._paid[key] += collateral
        if self._cashed[key] > self._bags[owner]:
            raise Violation(f"{owner} cashes {self._cashed[key]} of a bag of {self._bags[owner]}")
        due = self._cashed[key] * step.before(_SETTLEMENT, "share_of", c) // RAY
        if key not in self._unknown and self._paid[key] != due // self._unit(step, c) * self._unit(step, c):
            raise Violation(f"{owner} has {self._paid[key]} of type {c} for {self._cashed[key]}")

    def _unit(self, step: Transition, c: int) -> int:
        return int(10 ** (18 - step.before("VaultEngine", "terms.of_types", c).decimals))
