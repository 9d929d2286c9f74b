"""The property of settlement, of a history: the collateral given up by a vault and paid for a stablecoin."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_SETTLEMENT = "Settlement"


@history_property(44, events=["Settlement.*"])
class SettlementPaysAtOneFinalPrice:
    """Checker that settlement pays all holders at one final price per type (property 44).

    A final price is set once. A vault gives up whole units of collateral worth its debt, and no more. Each
    stablecoin is redeemed for its share of each collateral. An account receives the same total for any number
    and size of calls.
    """

    def __init__(self, model: ModelSystem) -> None:
        tables = model.world.contracts[_SETTLEMENT].tables
        self._prices = {c: final.price for c, final in tables["final_prices"].items() if final.is_final}
        self._bags: Counter[str] = Counter(tables["bag_of"])
        self._cashed: Counter[tuple[int, str]] = Counter(tables["cashed_of"])
        # Who has cashed something before this began to watch.
        self._paid: Counter[tuple[int, str]] = Counter()
        self._unknown = set(self._cashed)

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record final prices, redeemed stablecoin and payments from events, and check the payments.

        Raises PropertyViolationError if a price is set twice or an amount differs.
        """
        if step.action.contract != _SETTLEMENT:
            return
        for log in step.outcome.logs:
            if log.contract != _SETTLEMENT:
                continue
            if log.event == "PriceFixed":
                c, price = log.values
                if c in self._prices:
                    raise PropertyViolationError(
                        f"type {c} is priced at {price}, before at {self._prices[c]}"
                    )
                self._prices[c] = price
            elif log.event == "Skimmed":
                self._check_skim(step, *log.values)
            elif log.event == "ShareFixed":
                c, share = log.values
                salvage = step.read_post_state("VaultEngine", "ledger.salvage", c)
                supply = step.read_post_state("Stablecoin", "erc20.totalSupply")
                if not share * supply <= salvage * RAY < (share + 1) * supply:
                    raise PropertyViolationError(f"type {c}: {share} for each of {supply} of {salvage}")
            elif log.event == "Redeemed":
                self._bags[log.values[0]] += log.values[1]
            elif log.event == "Cashed":
                self._check_cash(step, *log.values)

    def _check_skim(
        self, step: Transition, collateral_type: int, owner: str, taken: int, debt: int, worth: int
    ) -> None:
        old = step.read_pre_state("VaultEngine", "vaults", (collateral_type, owner))
        new = step.read_post_state("VaultEngine", "vaults", (collateral_type, owner))
        unit, price = self._compute_decimal_scale_to_wad(step, collateral_type), self._prices[collateral_type]
        owed = (
            old.normalized_debt
            * step.read_pre_state("VaultEngine", "ledger.debts", collateral_type).accumulated_rate
        )
        all_of_it = taken == old.locked_collateral
        fair = taken * price >= debt and (taken - unit) * price < debt and taken % unit == 0
        if debt != owed or not (all_of_it or fair) or new.locked_collateral != old.locked_collateral - taken:
            raise PropertyViolationError(
                f"vault {collateral_type, owner} gives {taken} of {old} for {debt} at {price}"
            )
        if worth != (min(debt, taken * price) if price else debt):
            raise PropertyViolationError(
                f"vault {collateral_type, owner}: {taken} at {price} counts as {worth}"
            )

    def _check_cash(
        self, step: Transition, collateral_type: int, owner: str, amount: int, collateral: int
    ) -> None:
        key = collateral_type, owner
        self._cashed[key] += amount
        self._paid[key] += collateral
        if self._cashed[key] > self._bags[owner]:
            raise PropertyViolationError(
                f"{owner} cashes {self._cashed[key]} of a bag of {self._bags[owner]}"
            )
        due = self._cashed[key] * step.read_pre_state(_SETTLEMENT, "share_of", collateral_type) // RAY
        if key not in self._unknown and self._paid[key] != due // self._compute_decimal_scale_to_wad(
            step, collateral_type
        ) * self._compute_decimal_scale_to_wad(step, collateral_type):
            raise PropertyViolationError(
                f"{owner} has {self._paid[key]} of type {collateral_type} for {self._cashed[key]}"
            )

    def _compute_decimal_scale_to_wad(self, step: Transition, collateral_type: int) -> int:
        return int(
            10 ** (18 - step.read_pre_state("VaultEngine", "terms.of_types", collateral_type).decimals)
        )
