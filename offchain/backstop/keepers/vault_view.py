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
    """View of vaults, margin calls and workouts at one block."""

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
        """Return the collateral locked in all vaults of a type [wad]."""
        return self._vaults.get_locked_collateral(collateral_type)

    def list_vaults_with_debt(self, collateral_type: int) -> list[Vault]:
        """Return the vaults of a type that have debt, in the order in which they were opened."""
        if collateral_type not in self._with_debt:
            self._with_debt[collateral_type] = list(
                self._iter_vaults_of_owners(
                    collateral_type, self._vaults.list_indebted_owners(collateral_type)
                )
            )
        return self._with_debt[collateral_type]

    def list_owner_vaults(self, collateral_type: int, owners: Iterable[str]) -> list[Vault]:
        """Return these owners' vaults of a type that have debt, in the order in which they were opened."""
        return [
            vault
            for vault in self._iter_vaults_of_owners(
                collateral_type, self._vaults.sort_owners_by_opening(collateral_type, owners)
            )
            if vault.debt
        ]

    def sum_vault_shortfalls_at_price(self, collateral_type: int, price: int) -> int:
        """Return the debt of a type not covered by collateral at a price [ray], summed over vaults [rad].

        Surplus collateral of one vault does not offset the shortfall of another.
        """
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
        """Return the vaults of a type that can be liquidated now, the largest debt first.

        Vaults below the liquidation ratio come first. Then come vaults with an unmet margin call past its
        deadline.
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
        """Yield the vaults of a type that can be liquidated at a price [ray], by default the feed's price.

        The order is that of `list_unsafe_vaults`. Each of its two groups ends at the first debt that is not
        large enough. `can_fit_debt` leaves out debts, tested again as the caller proceeds; it must accept all
        debts smaller than an accepted one. `keeper_share` is the number of keepers and the index of one. Only
        the vaults of that keeper are yielded.
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
        """Return True if at least one vault of a type can be liquidated now."""
        return next(self.iter_unsafe_vaults(collateral_type), None) is not None

    def count_unsafe_vaults(self, collateral_type: int) -> int:
        """Return the number of a type's vaults that can be liquidated now."""
        price = self.get_liquidation_price(collateral_type)
        if price and self._is_unsafety_decided_by_ratio(collateral_type):
            return len(
                self._get_vaults_below_highest_ratio(
                    collateral_type, self.get_terms(collateral_type).liquidation_ratio, price
                )
            )
        return sum(1 for _ in self.iter_unsafe_vaults(collateral_type))

    def _is_unsafety_decided_by_ratio(self, collateral_type: int) -> bool:
        """Return True if the index alone decides which vaults are unsafe, by the liquidation ratio.

        This requires no margin add-on by size, no margin calls and no external finder.
        """
        ratio = self.get_terms(collateral_type).liquidation_ratio
        exact = ratio != 0 and self._add_largest_margin_to_ratio(collateral_type, ratio) == ratio
        return exact and self._finder is None and self.get_call_terms(collateral_type).ratio == 0

    def iter_wrong_flags(
        self, collateral_type: int, is_debt_large_enough: Callable[[int], bool]
    ) -> Iterator[tuple[str, int, int]]:
        """Yield flags of doubtful debt that may be wrong: owner, flagged and correct normalized debt [wad].

        Unsafe vaults with a large enough debt come first, then other flagged vaults. Nothing is yielded
        without a valid price.
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
        """Yield the vaults below a ratio plus the margin add-on for their size, the largest debt first.

        Nothing is yielded without a price.
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
        """Return True if a vault could be liquidated at a price [ray], regardless of halts of the feed.

        An unmet margin call past its deadline counts as well.
        """
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
        """Return a ratio plus a type's highest margin add-on, that of an infinite debt [basis points]."""
        return ratio + sum(bracket.rate for bracket in self._get_brackets(collateral_type).of_vaults)

    def _get_vaults_below_highest_ratio(
        self, collateral_type: int, ratio: int, price: int
    ) -> VaultsBelowRatio:
        """Return the vaults below a ratio plus the type's highest margin add-on.

        The set contains all vaults that are below the ratio with the add-on for their own size.
        """
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
        """Return the vaults of a type with a recorded margin call, even if it was met or has expired."""
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
        """Return the margin calls of a type that have not expired."""
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
        """Return the vaults below the call ratio without a running margin call, the largest debt first."""
        running = {call.owner for call in self.list_margin_calls(collateral_type)}
        found = self._iter_vaults_below_ratio(
            collateral_type,
            self.get_call_terms(collateral_type).ratio,
            self.get_liquidation_price(collateral_type),
        )
        return [vault for vault in found if vault.owner not in running]

    def list_vaults_spared_by_halt(self, collateral_type: int) -> list[Vault]:
        """Return the vaults that only a halt or grace period of the feed protects from liquidation."""
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
        """Return how much debt a vault must repay to meet the required ratio [rad], rounded up.

        The required ratio is the call ratio, or the initial ratio if there are no margin calls. 0 without a
        current price.
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
        """Storage tables of the Workouts contract; empty tables if it is not deployed."""
        names = "terms", "balances", "in_workouts", "flagged_principal", "last_entries"
        none: dict[str, dict[Any, Any]] = {name: {} for name in names}
        return self._snapshot.get("Workouts", none)

    def get_workout_terms(self, collateral_type: int) -> workouts.Terms:
        """Return the terms of a type's workouts; a cap of 0 means that there are none."""
        found: workouts.Terms = self._workout_tables["terms"].get(collateral_type, workouts.Terms())
        return found

    @cached_property
    def workouts(self) -> list[Workout]:
        """Open workouts (called vaults repaid in instalments), the oldest first."""
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
        """Return the workouts that can be foreclosed now: an instalment is late or collateral too small."""
        found = []
        for each in self.workouts:
            price = self.get_liquidation_price(each.collateral_type)
            if price and not each.is_in_good_standing(self.timestamp, price):
                found.append(each)
        return found

    def list_restructurable_vaults(self, collateral_type: int) -> list[Vault]:
        """Return the called vaults of a type each of which may enter a workout now.

        Limits are checked for each vault alone. Empty without a price, without workouts, or in normal mode.
        """
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
