"""What keepers see of vaults: those at risk, margin calls, workouts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, takewhile
from typing import Any

from backstop.deployment.parameters import Parameters
from backstop.keepers.indexes import Indexes
from backstop.keepers.ledger_view import LedgerView
from backstop.keepers.seen import Call, Finder, Outside, Tables, Vault, Workout
from backstop.keepers.under import Under, share_of
from backstop.keepers.vaults import Vaults
from backstop.model import interfaces, workouts
from backstop.model.arithmetic import BASIS_POINTS, RAD
from backstop.system import Snapshot


def _any(debt: int) -> bool:
    return True


class VaultView(LedgerView):
    """The vaults at one block."""

    def __init__(
        self,
        snapshot: Snapshot,
        addresses: Mapping[str, str],
        timestamp: int,
        outside: Outside,
        parameters: Parameters,
        *,
        indexes: Indexes | None = None,
        finder: Finder | None = None,
    ) -> None:
        super().__init__(snapshot, addresses, timestamp, outside, parameters, indexes=indexes)
        self._finder = finder
        self._found: dict[tuple[int, int, int], list[Vault]] = {}
        self._with_debt: dict[int, list[Vault]] = {}

    @property
    def _vaults(self) -> Vaults:
        return self._indexes.vaults

    def locked(self, c: int) -> int:
        """Return the collateral in all vaults [wad]."""
        return self._vaults.locked(c)

    def vaults(self, c: int) -> list[Vault]:
        """Return the vaults with debt, in the order in which they were opened."""
        if c not in self._with_debt:
            self._with_debt[c] = list(self._read(c, self._vaults.all(c)))
        return self._with_debt[c]

    def vaults_of(self, c: int, owners: Iterable[str]) -> list[Vault]:
        """Return the vaults with debt of these owners, in the order in which they were opened."""
        return [vault for vault in self._read(c, self._vaults.sorted(c, owners)) if vault.debt]

    def underwater(self, c: int, price: int) -> int:
        """Return the debt that vaults' collateral would not repay at a price (ray), of each alone [rad]."""
        under = self._vaults.under(c, "underwater", price, self.rate(c))
        return under.normalized_debt * self.rate(c) - under.locked * price

    def _read(self, c: int, owners: Iterable[str]) -> Iterator[Vault]:
        rate = self.rate(c)
        return (self._vault_at(c, owner, rate) for owner in owners)

    def _vault_at(self, c: int, owner: str, rate: int) -> Vault:
        vault = self._vaults[c, owner]
        debt = vault.normalized_debt * rate
        return Vault(owner, vault.locked_collateral, vault.normalized_debt, debt, vault.called_at)

    def unsafe(self, c: int) -> list[Vault]:
        """Return the vaults that can be liquidated now, the largest debt first.

        After those under the liquidation ratio come those that were called, are still short, and past the
        time that the owner had.
        """
        return list(self.each_unsafe(c))

    def each_unsafe(
        self,
        c: int,
        enough: Callable[[int], bool] = _any,
        price: int | None = None,
        *,
        fits: Callable[[int], bool] = _any,
        share: tuple[int, int] = (1, 0),
    ) -> Iterator[Vault]:
        """Yield what `unsafe` has; of either kind as far as the debt (rad) is `enough`; at a price (ray).

        `share` is one of how many, from 0 on. Debts that do not fit are left out: with a debt all smaller
        ones fit, and what does not fit once may not later, however far the caller has got.
        """
        price, first = self.liquidation_price(c) if price is None else price, set()
        for vault in self._under(c, self.terms(c).liquidation_ratio, price, fits, share):
            if not enough(vault.debt):
                break
            first.add(vault.owner)
            yield vault
        if self.call_terms(c).ratio == 0:
            return
        due = {call.owner for call in self.calls(c) if self.timestamp >= call.due} - first
        for vault in self._under(c, self.call_terms(c).ratio, price, fits, share) if due else ():
            if not enough(vault.debt):
                break
            if vault.owner in due:
                yield vault

    def has_unsafe(self, c: int) -> bool:
        """Tell whether any vault can be liquidated now."""
        return next(self.each_unsafe(c), None) is not None

    def count_unsafe(self, c: int) -> int:
        """Return how many vaults can be liquidated now."""
        price = self.liquidation_price(c)
        if price and self._one_line(c):
            return len(self._near(c, self.terms(c).liquidation_ratio, price))
        return sum(1 for _ in self.each_unsafe(c))

    def _one_line(self, c: int) -> bool:
        """Tell whether the liquidation ratio alone says which vaults are unsafe, and the index has them."""
        ratio = self.terms(c).liquidation_ratio
        exact = ratio != 0 and self._most(c, ratio) == ratio
        return exact and self._finder is None and self.call_terms(c).ratio == 0

    def wrong_flags(self, c: int, enough: Callable[[int], bool]) -> Iterator[tuple[str, int, int]]:
        """Yield flags that may be wrong: owner, what is flagged, what should be [wad of normalized debt].

        Unsafe vaults whose debt (rad) is `enough` come first, in the order of `each_unsafe`, then those with
        a flag. There are none without a price.
        """
        price, flags = self.lowest_price(c), self._indexes.flags
        if price == 0:
            return
        unsafe: Iterator[Vault]
        if self._one_line(c):
            wrong = flags.wrong(c, *self._line(c, self.terms(c).liquidation_ratio, price))
            flagged = [owner for _, owner in flags.sorted([(c, owner) for owner in wrong.flagged])]
            unsafe = takewhile(
                lambda vault: enough(vault.debt), self._read(c, (owner for _, owner in wrong.largest()))
            )
        else:
            flagged, unsafe = flags.all(c), self.each_unsafe(c, enough, price)
        stale = [vault for vault in self.vaults_of(c, flagged) if self.is_unsafe(c, vault, price)]
        seen = set()
        for vault in chain(unsafe, stale):
            if vault.owner not in seen:
                seen.add(vault.owner)
                yield vault.owner, flags.of(c, vault.owner), vault.normalized_debt
        for owner in flagged:
            if owner not in seen:
                yield owner, flags.of(c, owner), 0

    def _under(
        self,
        c: int,
        ratio: int,
        price: int,
        fits: Callable[[int], bool] = _any,
        share: tuple[int, int] = (1, 0),
    ) -> Iterator[Vault]:
        """Yield the vaults under a ratio and their size's add-on, the largest debt first.

        Without a price there are none.
        """
        if price == 0 or ratio == 0:
            return
        count, index = share
        if self._finder is not None:
            for vault in self._found_under(c, ratio, price):
                if share_of(vault.owner, count) == index and fits(vault.debt):
                    yield vault
            return
        policy, scaled, exact = self._brackets(c), price * BASIS_POINTS, self._most(c, ratio) == ratio
        largest, rate, i = self._near(c, ratio, price).largest(count, index), self.rate(c), 0
        while i < len(largest):
            vault = self._vault_at(c, largest[i][1], rate)
            if not fits(vault.debt):
                # Nor do all in between.
                i = bisect_left(largest, True, i + 1, key=lambda each: fits(-each[0] * rate))
                continue
            if exact or vault.locked * scaled < vault.debt * ratio + policy.add_on(vault.debt):
                yield vault
            i += 1

    def _found_under(self, c: int, ratio: int, price: int) -> list[Vault]:
        assert self._finder is not None
        if (c, ratio, price) not in self._found:
            found = self._finder.under(c, ratio, price, self.rate(c), self._brackets(c))
            self._found[c, ratio, price] = sorted(found, key=lambda vault: (-vault.debt, vault.owner))
        return self._found[c, ratio, price]

    def is_unsafe(self, c: int, vault: Vault, price: int) -> bool:
        """Tell whether a vault could be liquidated at a price [ray], whatever holds liquidations back now."""
        worth, add_on = vault.locked * price * BASIS_POINTS, self.add_on(c, vault.debt)
        if worth < vault.debt * self.terms(c).liquidation_ratio + add_on:
            return True
        terms = self.call_terms(c)
        due = vault.called_at + terms.grace
        is_due = vault.called_at and terms.ratio and due <= self.timestamp <= due + terms.valid
        return bool(is_due) and worth < vault.debt * terms.ratio + add_on

    def _most(self, c: int, ratio: int) -> int:
        """Return what a ratio and the add-on of a boundless debt come to [basis points]."""
        return ratio + sum(bracket.rate for bracket in self._brackets(c).of_vaults)

    def _near(self, c: int, ratio: int, price: int) -> Under:
        """Return the vaults that are under a ratio if any add-on there is counts in full."""
        # One at another price than liquidations' is a line of its own: a single one would go to and fro.
        purpose = ratio, price == self.liquidation_price(c)
        return self._vaults.under(c, purpose, *self._line(c, ratio, price))

    def _line(self, c: int, ratio: int, price: int) -> tuple[int, int]:
        return price * BASIS_POINTS, self.rate(c) * self._most(c, ratio)

    def _called(self, c: int) -> list[Vault]:
        """Return the vaults that were called, whatever became of it."""
        if self._finder is not None:
            return sorted(self._finder.called(c, self.rate(c)))
        return list(self._read(c, self._vaults.called(c)))

    def calls(self, c: int) -> list[Call]:
        """Return the margin calls that are neither met nor over."""
        terms = self.call_terms(c)
        found: list[Call] = []
        if terms == interfaces.CallTerms():
            return found
        for vault in self._called(c):
            due = vault.called_at + terms.grace
            if self.timestamp <= due + terms.valid:
                found.append(Call(vault.owner, vault.called_at, due, due + terms.valid))
        return found

    def callable(self, c: int) -> list[Vault]:
        """Return the vaults under the call ratio that may be called now, the largest debt first."""
        running = {call.owner for call in self.calls(c)}
        found = self._under(c, self.call_terms(c).ratio, self.liquidation_price(c))
        return [vault for vault in found if vault.owner not in running]

    def spared(self, c: int) -> list[Vault]:
        """Return the vaults that only a halt or a grace of the feed keeps from being liquidated."""
        if self.liquidation_price(c):
            return []
        return list(self._under(c, self.terms(c).liquidation_ratio, self.price(c)))

    def shortfall(self, c: int, vault: Vault) -> int:
        """Return the debt above what a vault's collateral carries [rad], rounded up.

        It is measured at the call ratio, or without calls at the initial ratio; 0 without a price.
        """
        price, ratio = self.price(c), self.call_terms(c).ratio or self.terms(c).initial_ratio
        if price == 0:
            return 0
        missing = vault.debt * ratio + self.add_on(c, vault.debt) - vault.locked * price * BASIS_POINTS
        return max(0, -(-missing // ratio))

    @property
    def _workouts(self) -> Tables:
        """The tables of workouts; empty without them."""
        names = "terms", "balances", "in_workouts", "in_doubt", "last_entries"
        none: dict[str, dict[Any, Any]] = {name: {} for name in names}
        return self._snapshot.get("Workouts", none)

    def workout_terms(self, c: int) -> workouts.Terms:
        """Return the terms of a type's workouts; a cap of 0 is none."""
        found: workouts.Terms = self._workouts["terms"].get(c, workouts.Terms())
        return found

    @cached_property
    def workouts(self) -> list[Workout]:
        """The open workouts, the oldest first."""
        found = []
        for id, balance in self._indexes.workouts.items():
            schedule, sums = self._workouts["schedules"][id], self._workouts["sums"][id]
            found.append(
                Workout(
                    id=id,
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

    def foreclosable(self) -> list[Workout]:
        """Return the workouts that can be foreclosed now."""
        found = []
        for each in self.workouts:
            price = self.liquidation_price(each.collateral_type)
            if price and not each.is_kept(self.timestamp, price):
                found.append(each)
        return found

    def restructurable(self, c: int) -> list[Vault]:
        """Return the called vaults that may enter a workout now, each for itself."""
        terms, price = self.workout_terms(c), self.new_risk_price(c)
        if terms.cap == 0 or price == 0 or self.mode < interfaces.CAUTION:
            return []
        most = min(self.room(c), terms.cap * RAD - self._workouts["in_workouts"].get(c, 0))
        return [
            vault
            for vault in self._called(c)
            if vault.debt <= most
            and self.shortfall(c, vault)
            and workouts.repays(vault.locked, price, terms.discount, vault.debt)
            and self.timestamp >= self._workouts["last_entries"].get((c, vault.owner), 0) + terms.period
        ]
