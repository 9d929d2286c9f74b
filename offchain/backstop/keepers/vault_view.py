"""What keepers see of vaults: those at risk, margin calls, workouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from backstop.deployment.parameters import Parameters
from backstop.keepers.ledger_view import LedgerView
from backstop.keepers.seen import Call, Finder, Outside, Tables, Vault, Workout
from backstop.keepers.vaults import Vaults
from backstop.model import interfaces, risk_policy, workouts
from backstop.model.arithmetic import BASIS_POINTS, RAD
from backstop.system import Snapshot


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
        vaults: Vaults | None = None,
        finder: Finder | None = None,
    ) -> None:
        super().__init__(snapshot, addresses, timestamp, outside, parameters)
        self._index = vaults
        self._finder = finder
        self._unsafe: dict[int, list[Vault]] = {}
        self._with_debt: dict[int, list[Vault]] = {}

    @cached_property
    def _vaults(self) -> Vaults:
        return Vaults(self._engine["vaults"]) if self._index is None else self._index

    def locked(self, c: int) -> int:
        """Return the collateral in all vaults [wad]."""
        return self._vaults.locked(c)

    def vaults(self, c: int) -> list[Vault]:
        """Return the vaults with debt, in the order in which they were opened."""
        if c not in self._with_debt:
            self._with_debt[c] = self._read(c, self._vaults.all(c))
        return self._with_debt[c]

    def underwater(self, c: int, price: int) -> list[Vault]:
        """Return the vaults whose collateral would not repay their debt at a price (ray), in no order."""
        riskier = self._vaults.riskier(c, price, self.rate(c))
        return [vault for vault in self._read(c, riskier) if vault.debt > vault.locked * price]

    def doubtful(self, c: int, price: int, others: set[str]) -> list[Vault]:
        """Return the vaults with debt of `others` or underwater at a price (ray), in the order of opening."""
        owners = {vault.owner for vault in self.underwater(c, price)} | others
        return [vault for vault in self._read(c, self._vaults.sorted(c, owners)) if vault.debt]

    def _read(self, c: int, owners: Iterable[str]) -> list[Vault]:
        rate, found = self.rate(c), []
        for owner in owners:
            locked, art, called_at, _ = self._vaults[c, owner]
            found.append(Vault(owner, locked, art, art * rate, called_at))
        return found

    def unsafe(self, c: int) -> list[Vault]:
        """Return the vaults that can be liquidated now, the largest debt first."""
        if c not in self._unsafe:
            self._unsafe[c] = self._find_unsafe(c)
        return self._unsafe[c]

    def _find_unsafe(self, c: int) -> list[Vault]:
        price = self.liquidation_price(c)
        unsafe = self._under(c, self.terms(c).liquidation_ratio, price)
        if self.call_terms(c).ratio == 0:
            return unsafe
        # Or called, still short, and past the time that the owner had.
        due = {call.owner for call in self.calls(c) if self.timestamp >= call.due}
        called = [vault for vault in self._under(c, self.call_terms(c).ratio, price) if vault.owner in due]
        return list(dict.fromkeys([*unsafe, *called]))

    def _under(self, c: int, ratio: int, price: int) -> list[Vault]:
        """Return the vaults under a ratio and their size's add-on, the largest debt first.

        Without a price there are none.
        """
        if price == 0 or ratio == 0:
            return []
        find = self._find if self._finder is None else self._finder.under
        found = find(c, ratio, price, self.rate(c), self._brackets(c))
        return sorted(found, key=lambda vault: (-vault.debt, vault.owner))

    def _find(self, c: int, ratio: int, price: int, rate: int, policy: risk_policy.Terms) -> list[Vault]:
        scaled = price * BASIS_POINTS
        most = ratio + sum(bracket.rate for bracket in policy.of_vaults)
        return [
            vault
            for vault in self._read(c, self._vaults.riskier(c, scaled, rate * most))
            if vault.locked * scaled < vault.debt * ratio + policy.add_on(vault.debt)
        ]

    def _called(self, c: int) -> list[Vault]:
        """Return the vaults that were called, whatever became of it."""
        if self._finder is not None:
            return sorted(self._finder.called(c, self.rate(c)))
        return [vault for vault in self.vaults(c) if vault.called_at]

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
        return self._under(c, self.terms(c).liquidation_ratio, self.price(c))

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
        none: dict[str, dict[Any, Any]] = {"terms": {}, "balances": {}, "in_workouts": {}, "last_entries": {}}
        return self._snapshot.get("Workouts", none)

    def workout_terms(self, c: int) -> workouts.Terms:
        """Return the terms of a type's workouts; a cap of 0 is none."""
        found: workouts.Terms = self._workouts["terms"].get(c, workouts.Terms())
        return found

    @cached_property
    def workouts(self) -> list[Workout]:
        """The open workouts, the oldest first."""
        found = []
        for id, balance in self._workouts["balances"].items():
            if balance.left:
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
