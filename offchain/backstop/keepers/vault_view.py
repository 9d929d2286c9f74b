"""Keepers' view of vaults: those at risk, margin calls, workouts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, takewhile
from typing import Any

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.keepers.ledger_view import LedgerView
from backstop.keepers.table_indexes import TableIndexes
from backstop.keepers.vault_risk_index import VaultRiskIndex
from backstop.keepers.vaults_below_ratio import VaultsBelowRatio, assign_keeper
from backstop.keepers.view_records import MarginCall, MarketData, Tables, Vault, VaultFinder, Workout
from backstop.model import interfaces, workouts
from backstop.model.arithmetic import BASIS_POINTS, RAD
from backstop.system import Snapshot


def _accept_any_debt(debt: int) -> bool:
    return True


class VaultView(LedgerView):
    """The vaults at one block."""

    def __init__(
        self,
        snapshot: Snapshot,
        addresses: Mapping[str, str],
        timestamp: int,
        outside: MarketData,
        parameters: Parameters,
        *,
        indexes: TableIndexes | None = None,
        finder: VaultFinder | None = None,
    ) -> None:
        super().__init__(snapshot, addresses, timestamp, outside, parameters, indexes=indexes)
        self._finder = finder
        self._found: dict[tuple[int, int, int], list[Vault]] = {}
        self._with_debt: dict[int, list[Vault]] = {}

    @property
    def _vaults(self) -> VaultRiskIndex:
        return self._indexes.vaults

    def get_locked_collateral(self, collateral_type: int) -> int:
        """Return the collateral in all vaults [wad]."""
        return self._vaults.get_locked_collateral(collateral_type)

    def list_vaults_with_debt(self, collateral_type: int) -> list[Vault]:
        """Return the vaults with debt, in the order in which they were opened."""
        if collateral_type not in self._with_debt:
            self._with_debt[collateral_type] = list(
                self._iter_vaults_of_owners(
                    collateral_type, self._vaults.list_indebted_owners(collateral_type)
                )
            )
        return self._with_debt[collateral_type]

    def list_owner_vaults(self, collateral_type: int, owners: Iterable[str]) -> list[Vault]:
        """Return the vaults with debt of these owners, in the order in which they were opened."""
        return [
            vault
            for vault in self._iter_vaults_of_owners(
                collateral_type, self._vaults.sort_owners_by_opening(collateral_type, owners)
            )
            if vault.debt
        ]

    def sum_vault_shortfalls_at_price(self, collateral_type: int, price: int) -> int:
        """Return the debt that vaults' collateral would not repay at a price (ray), of each alone [rad]."""
        under = self._vaults.list_vaults_below_ratio(
            collateral_type, "underwater", price, self.get_current_rate(collateral_type)
        )
        return under.normalized_debt * self.get_current_rate(collateral_type) - under.locked * price

    def _iter_vaults_of_owners(self, collateral_type: int, owners: Iterable[str]) -> Iterator[Vault]:
        rate = self.get_current_rate(collateral_type)
        return (self._build_vault(collateral_type, owner, rate) for owner in owners)

    def _build_vault(self, collateral_type: int, owner: str, rate: int) -> Vault:
        vault = self._vaults[collateral_type, owner]
        debt = vault.normalized_debt * rate
        return Vault(owner, vault.locked_collateral, vault.normalized_debt, debt, vault.called_at)

    def list_unsafe_vaults(self, collateral_type: int) -> list[Vault]:
        """Return the vaults that can be liquidated now, the largest debt first.

        After those under the liquidation ratio come those that were called, are still short, and past the
        time that the owner had.
        """
        return list(self.iter_unsafe_vaults(collateral_type))

    def iter_unsafe_vaults(
        self,
        collateral_type: int,
        is_debt_large_enough: Callable[[int], bool] = _accept_any_debt,
        price: int | None = None,
        *,
        can_fit_debt: Callable[[int], bool] = _accept_any_debt,
        keeper_share: tuple[int, int] = (1, 0),
    ) -> Iterator[Vault]:
        """Yield what `unsafe` has; of either kind as far as the debt (rad) is `enough`; at a price (ray).

        `share` is one of how many, from 0 on. Debts that do not fit are left out. With a debt all smaller
        ones fit, and a debt that does not fit once may not later, however far the caller has got.
        """
        price, first = self.get_liquidation_price(collateral_type) if price is None else price, set()
        for vault in self._iter_vaults_below_ratio(
            collateral_type,
            self.get_terms(collateral_type).liquidation_ratio,
            price,
            can_fit_debt,
            keeper_share,
        ):
            if not is_debt_large_enough(vault.debt):
                break
            first.add(vault.owner)
            yield vault
        if self.get_call_terms(collateral_type).ratio == 0:
            return
        due = {
            call.owner for call in self.list_margin_calls(collateral_type) if self.timestamp >= call.due
        } - first
        for vault in (
            self._iter_vaults_below_ratio(
                collateral_type, self.get_call_terms(collateral_type).ratio, price, can_fit_debt, keeper_share
            )
            if due
            else ()
        ):
            if not is_debt_large_enough(vault.debt):
                break
            if vault.owner in due:
                yield vault

    def has_unsafe_vault(self, collateral_type: int) -> bool:
        """Return whether any vault can be liquidated now."""
        return next(self.iter_unsafe_vaults(collateral_type), None) is not None

    def count_unsafe_vaults(self, collateral_type: int) -> int:
        """Return how many vaults can be liquidated now."""
        price = self.get_liquidation_price(collateral_type)
        if price and self._is_unsafety_decided_by_ratio(collateral_type):
            return len(
                self._get_vaults_below_highest_ratio(
                    collateral_type, self.get_terms(collateral_type).liquidation_ratio, price
                )
            )
        return sum(1 for _ in self.iter_unsafe_vaults(collateral_type))

    def _is_unsafety_decided_by_ratio(self, collateral_type: int) -> bool:
        """Return whether the liquidation ratio alone says which vaults are unsafe, and the index has them."""
        ratio = self.get_terms(collateral_type).liquidation_ratio
        exact = ratio != 0 and self._add_largest_margin_to_ratio(collateral_type, ratio) == ratio
        return exact and self._finder is None and self.get_call_terms(collateral_type).ratio == 0

    def iter_wrong_flags(
        self, collateral_type: int, is_debt_large_enough: Callable[[int], bool]
    ) -> Iterator[tuple[str, int, int]]:
        """Yield flags that may be wrong: owner, flagged debt, correct flag [wad of normalized debt].

        Unsafe vaults with an `enough` debt (rad) come first, in the order of `each_unsafe`, then those with a
        flag. There are none without a price.
        """
        price, flags = self.get_lower_auction_or_next(collateral_type), self._indexes.flags
        if price == 0:
            return
        unsafe: Iterator[Vault]
        if self._is_unsafety_decided_by_ratio(collateral_type):
            wrong = flags.find_wrong_flags(
                collateral_type,
                *self._compute_ratio_line_as_fraction(
                    collateral_type, self.get_terms(collateral_type).liquidation_ratio, price
                ),
            )
            flagged = [
                owner
                for _, owner in flags.sort_keys_by_first_write(
                    [(collateral_type, owner) for owner in wrong.flagged]
                )
            ]
            unsafe = takewhile(
                lambda vault: is_debt_large_enough(vault.debt),
                self._iter_vaults_of_owners(
                    collateral_type, (owner for _, owner in wrong.list_vaults_by_falling_debt())
                ),
            )
        else:
            flagged, unsafe = (
                flags.list_flagged_owners(collateral_type),
                self.iter_unsafe_vaults(collateral_type, is_debt_large_enough, price),
            )
        stale = [
            vault
            for vault in self.list_owner_vaults(collateral_type, flagged)
            if self.is_vault_unsafe(collateral_type, vault, price)
        ]
        seen = set()
        for vault in chain(unsafe, stale):
            if vault.owner not in seen:
                seen.add(vault.owner)
                yield vault.owner, flags.get_flagged_debt(collateral_type, vault.owner), vault.normalized_debt
        for owner in flagged:
            if owner not in seen:
                yield owner, flags.get_flagged_debt(collateral_type, owner), 0

    def _iter_vaults_below_ratio(
        self,
        collateral_type: int,
        ratio: int,
        price: int,
        can_fit_debt: Callable[[int], bool] = _accept_any_debt,
        keeper_share: tuple[int, int] = (1, 0),
    ) -> Iterator[Vault]:
        """Yield the vaults under a ratio and their size's add-on, the largest debt first.

        Without a price there are none.
        """
        if price == 0 or ratio == 0:
            return
        count, index = keeper_share
        if self._finder is not None:
            for vault in self._find_vaults_below_ratio(collateral_type, ratio, price):
                if assign_keeper(vault.owner, count) == index and can_fit_debt(vault.debt):
                    yield vault
            return
        policy, scaled, exact = (
            self._get_brackets(collateral_type),
            price * BASIS_POINTS,
            self._add_largest_margin_to_ratio(collateral_type, ratio) == ratio,
        )
        largest, rate, i = (
            self._get_vaults_below_highest_ratio(collateral_type, ratio, price).list_vaults_by_falling_debt(
                count, index
            ),
            self.get_current_rate(collateral_type),
            0,
        )
        while i < len(largest):
            vault = self._build_vault(collateral_type, largest[i][1], rate)
            if not can_fit_debt(vault.debt):
                # Nor do all in between.
                i = bisect_left(largest, True, i + 1, key=lambda each: can_fit_debt(-each[0] * rate))
                continue
            if exact or vault.locked * scaled < vault.debt * ratio + policy.add_on(vault.debt):
                yield vault
            i += 1

    def _find_vaults_below_ratio(self, collateral_type: int, ratio: int, price: int) -> list[Vault]:
        assert self._finder is not None
        if (collateral_type, ratio, price) not in self._found:
            found = self._finder.list_vaults_below_ratio(
                collateral_type,
                ratio,
                price,
                self.get_current_rate(collateral_type),
                self._get_brackets(collateral_type),
            )
            self._found[collateral_type, ratio, price] = sorted(
                found, key=lambda vault: (-vault.debt, vault.owner)
            )
        return self._found[collateral_type, ratio, price]

    def is_vault_unsafe(self, collateral_type: int, vault: Vault, price: int) -> bool:
        """Return True if a vault could be liquidated at a price [ray], regardless of halts."""
        worth, add_on = (
            vault.locked * price * BASIS_POINTS,
            self.compute_margin_add_on(collateral_type, vault.debt),
        )
        if worth < vault.debt * self.get_terms(collateral_type).liquidation_ratio + add_on:
            return True
        terms = self.get_call_terms(collateral_type)
        due = vault.called_at + terms.grace
        is_due = vault.called_at and terms.ratio and due <= self.timestamp <= due + terms.valid
        return bool(is_due) and worth < vault.debt * terms.ratio + add_on

    def _add_largest_margin_to_ratio(self, collateral_type: int, ratio: int) -> int:
        """Return what a ratio and the add-on of a boundless debt come to [basis points]."""
        return ratio + sum(bracket.rate for bracket in self._get_brackets(collateral_type).of_vaults)

    def _get_vaults_below_highest_ratio(
        self, collateral_type: int, ratio: int, price: int
    ) -> VaultsBelowRatio:
        """Return the vaults that are under a ratio if any add-on there is counts in full."""
        # One at another price than liquidations' is a line of its own: a single one would go to and fro.
        purpose = ratio, price == self.get_liquidation_price(collateral_type)
        return self._vaults.list_vaults_below_ratio(
            collateral_type, purpose, *self._compute_ratio_line_as_fraction(collateral_type, ratio, price)
        )

    def _compute_ratio_line_as_fraction(
        self, collateral_type: int, ratio: int, price: int
    ) -> tuple[int, int]:
        return price * BASIS_POINTS, self.get_current_rate(
            collateral_type
        ) * self._add_largest_margin_to_ratio(collateral_type, ratio)

    def _list_vaults_ever_called(self, collateral_type: int) -> list[Vault]:
        """Return the vaults that were called, regardless of the outcome."""
        if self._finder is not None:
            return sorted(
                self._finder.list_vaults_ever_called(collateral_type, self.get_current_rate(collateral_type))
            )
        return list(
            self._iter_vaults_of_owners(
                collateral_type, self._vaults.list_vaults_ever_called(collateral_type)
            )
        )

    def list_margin_calls(self, collateral_type: int) -> list[MarginCall]:
        """Return the margin calls that are neither met nor over."""
        terms = self.get_call_terms(collateral_type)
        found: list[MarginCall] = []
        if terms == interfaces.CallTerms():
            return found
        for vault in self._list_vaults_ever_called(collateral_type):
            due = vault.called_at + terms.grace
            if self.timestamp <= due + terms.valid:
                found.append(MarginCall(vault.owner, vault.called_at, due, due + terms.valid))
        return found

    def list_callable_vaults(self, collateral_type: int) -> list[Vault]:
        """Return the vaults under the call ratio that may be called now, the largest debt first."""
        running = {call.owner for call in self.list_margin_calls(collateral_type)}
        found = self._iter_vaults_below_ratio(
            collateral_type,
            self.get_call_terms(collateral_type).ratio,
            self.get_liquidation_price(collateral_type),
        )
        return [vault for vault in found if vault.owner not in running]

    def list_vaults_spared_by_halt(self, collateral_type: int) -> list[Vault]:
        """Return the vaults that only a halt or a grace of the feed keeps from being liquidated."""
        if self.get_liquidation_price(collateral_type):
            return []
        return list(
            self._iter_vaults_below_ratio(
                collateral_type,
                self.get_terms(collateral_type).liquidation_ratio,
                self.get_current_price(collateral_type),
            )
        )

    def compute_debt_above_ratio(self, collateral_type: int, called_vault: Vault) -> int:
        """Return the debt above what a vault's collateral carries [rad], rounded up.

        It is measured at the call ratio, or without calls at the initial ratio; 0 without a price.
        """
        price, ratio = (
            self.get_current_price(collateral_type),
            self.get_call_terms(collateral_type).ratio or self.get_terms(collateral_type).initial_ratio,
        )
        if price == 0:
            return 0
        missing = (
            called_vault.debt * ratio
            + self.compute_margin_add_on(collateral_type, called_vault.debt)
            - called_vault.locked * price * BASIS_POINTS
        )
        return max(0, -(-missing // ratio))

    @property
    def _workout_tables(self) -> Tables:
        """The tables of workouts; empty without them."""
        names = "terms", "balances", "in_workouts", "flagged_principal", "last_entries"
        none: dict[str, dict[Any, Any]] = {name: {} for name in names}
        return self._snapshot.get("Workouts", none)

    def get_workout_terms(self, collateral_type: int) -> workouts.Terms:
        """Return the terms of a type's workouts; a cap of 0 is none."""
        found: workouts.Terms = self._workout_tables["terms"].get(collateral_type, workouts.Terms())
        return found

    @cached_property
    def workouts(self) -> list[Workout]:
        """The open workouts, the oldest first."""
        found = []
        for workout_id, balance in self._indexes.open_workout_balances.iter_records():
            schedule, sums = (
                self._workout_tables["schedules"][workout_id],
                self._workout_tables["sums"][workout_id],
            )
            found.append(
                Workout(
                    id=workout_id,
                    collateral_type=balance.collateral_type,
                    owner=schedule.owner,
                    lot=balance.lot,
                    owed=sums.owed,
                    left=balance.left,
                    principal=workouts.principal_left(balance, sums),
                    instalments=balance.instalments,
                    met=balance.met,
                    entered_at=schedule.entered_at,
                    interval=schedule.interval,
                    discount=schedule.discount,
                    ratio=schedule.ratio,
                    flagged=bool(balance.flagged),
                )
            )
        return sorted(found)

    def list_foreclosable_workouts(self) -> list[Workout]:
        """Return the workouts that can be foreclosed now."""
        found = []
        for each in self.workouts:
            price = self.get_liquidation_price(each.collateral_type)
            if price and not each.is_in_good_standing(self.timestamp, price):
                found.append(each)
        return found

    def list_restructurable_vaults(self, collateral_type: int) -> list[Vault]:
        """Return the called vaults that may enter a workout now, each for itself."""
        terms, price = (
            self.get_workout_terms(collateral_type),
            self.get_lower_current_next_price(collateral_type),
        )
        if terms.cap == 0 or price == 0 or self.mode < interfaces.CAUTION:
            return []
        most = min(
            self.get_auction_room(collateral_type),
            terms.cap * RAD - self._workout_tables["in_workouts"].get(collateral_type, 0),
        )
        return [
            vault
            for vault in self._list_vaults_ever_called(collateral_type)
            if vault.debt <= most
            and self.compute_debt_above_ratio(collateral_type, vault)
            and workouts.can_repay(vault.locked, price, terms.discount, vault.debt)
            and self.timestamp
            >= self._workout_tables["last_entries"].get((collateral_type, vault.owner), 0) + terms.period
        ]
