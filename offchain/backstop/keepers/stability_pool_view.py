"""A keeper's view of stability pools: sales of unsafe vaults, deposits and withdrawals that are due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backstop.deployment.contracts_by_parameter_name import name_stability_pool
from backstop.keepers.discount_view import DiscountView
from backstop.keepers.pool_reader import FrozenTable
from backstop.keepers.view_records import Vault
from backstop.model.instant_stability_pool import InstantStabilityPool
from backstop.model.interfaces import Sale
from backstop.model.product_sum import Stake, State
from backstop.model.stability_pool import BATCHES, Entries, OffsetPool, Requests, StabilityPool

_KINDS: dict[str, type[OffsetPool]] = {kind.KIND: kind for kind in (StabilityPool, InstantStabilityPool)}
_ENTRY_EPOCHS = 2
"""A deposit takes part once this many epochs have begun since."""


def list_pool_members(tables: Mapping[str, Mapping[Any, Any]]) -> list[str]:
    """Return the accounts with coins in a stability pool, including deposits that still wait.

    `tables` is the pool's storage in a snapshot.
    """
    stakes: Mapping[int, Stake] = tables["product_sum.stakes"]
    requests: Mapping[str, Requests] = tables["member_requests"]
    ids = (number for number, stake in stakes.items() if number < BATCHES and stake.coins)
    waiting = (owner for owner, each in requests.items() if each.entry)
    return sorted({*(f"0x{number:040x}" for number in ids), *waiting})


class StabilityPoolView(DiscountView):
    """View of the stability pools of all collateral types at one block."""

    def find_stability_pool(self, collateral_type: int) -> str | None:
        """Return the name of the contract that is a type's stability pool; None if it has none."""
        name = name_stability_pool(self.symbols[collateral_type])
        own = self.addresses.get(name)
        return name if own is not None and self.get_mechanism(collateral_type) == own else None

    def list_types_with_stability_pool(self) -> list[int]:
        """Return the collateral types with a stability pool that repays unsafe vaults."""
        return [c for c in range(len(self.symbols)) if self.find_stability_pool(c) is not None]

    def can_start_auctions(self, collateral_type: int) -> bool:
        """Return True if unsafe vaults of a type can go to auction under the type's present mechanism.

        Types with a stability pool that writes off vaults have auctions only without a current price.
        """
        if self.find_stability_pool(collateral_type) is None:
            return not self.has_mechanism(collateral_type)
        has_write_off = self._get_pool_model(collateral_type).has_write_off
        return not has_write_off or self.get_current_price(collateral_type) == 0

    def can_auction_vault(self, collateral_type: int, vault: Vault) -> bool:
        """Return True if no stability pool buys any part of this unsafe vault, so that it may be auctioned.

        At the last price of a dead feed a pool buys nothing.
        """
        if self.find_stability_pool(collateral_type) is None or not self.get_current_price(collateral_type):
            return True
        room = self.get_offset_room(collateral_type)
        return self._plan_sale(collateral_type, vault, room).normalized_debt == 0

    def get_offset_room(self, collateral_type: int) -> int:
        """Return the coins that a type's stability pool can spend on vaults now [wad].

        Deposits that its next call admits are included.
        """
        state: State = self._get_pool_model(collateral_type).product_state[()]
        return state._replace(coins=state.coins + self._sum_admissible_entries(collateral_type)).offset_room

    def plan_offset(self, collateral_type: int, vault: Vault, room: int) -> Sale | None:
        """Return the sale of an unsafe vault to the type's stability pool; None if the pool buys nothing.

        The pool pays at most `room` [wad].
        """
        if not self.can_sell_vaults(collateral_type):
            return None
        sale = self._plan_sale(collateral_type, vault, room)
        return sale if sale.collateral and sale.normalized_debt else None

    def compute_offset_reward(self, collateral_type: int, sale: Sale) -> int:
        """Return the liquidator's reward for a sale to a stability pool [wad of collateral]."""
        unit = self.get_terms(collateral_type).unit
        pricing = self._get_pool_model(collateral_type).pricing
        return pricing.compute_reward(sale.collateral - sale.fee, unit)

    def iter_short_vaults(self, collateral_type: int) -> Iterator[Vault]:
        """Yield the unsafe vaults that a pool can only write off because it has too few coins.

        The largest debt comes first.
        """
        if self.can_start_auctions(collateral_type):
            return
        room = self.get_offset_room(collateral_type)
        for vault in self.iter_unsafe_vaults(collateral_type):
            sale = self.plan_offset(collateral_type, vault, room)
            if sale is not None and sale.fee:
                yield vault

    def can_admit_entries(self, collateral_type: int) -> bool:
        """Return True if waiting deposits of a type's stability pool may start to take part now."""
        return self._sum_admissible_entries(collateral_type) != 0

    def list_payable_members(self, collateral_type: int) -> list[str]:
        """Return the members of a type's stability pool with a withdrawal that can be paid now.

        A request is payable after its cooldown, while no debt of the type is at risk. In settlement every
        member can be paid.
        """
        tables: Any = self._snapshot[name_stability_pool(self.symbols[collateral_type])]
        requests: Mapping[str, Requests] = tables["member_requests"]
        if self.get_terms(collateral_type).settling:
            return list_pool_members(tables)
        if self._is_debt_at_risk(collateral_type):
            return []
        due = (each for each in requests.items() if each[1].withdrawal)
        return sorted(owner for owner, each in due if self.timestamp >= each.ready_at)

    def _sum_admissible_entries(self, collateral_type: int) -> int:
        """Return the coins of waiting deposits that may take part now [wad]; 0 while debt is at risk."""
        pool = self._get_pool_model(collateral_type)
        waiting: Entries = pool.waiting_entries[()]
        if waiting.older == 0 or self._is_debt_at_risk(collateral_type):
            return 0
        epoch = self.timestamp // pool.entry_delay
        batches = (waiting.older_epoch, waiting.older), (waiting.newer_epoch, waiting.newer)
        return sum(amount for came_in, amount in batches if came_in + _ENTRY_EPOCHS <= epoch)

    def _is_debt_at_risk(self, collateral_type: int) -> bool:
        """Return True if a vault of the type is flagged or the pause after a price drop is running."""
        flagged = self._snapshot["LiquidationEngine"]["vault_flags.of_types"].get(collateral_type, 0)
        return flagged != 0 or self.timestamp < self.withdrawals_paused_until

    def _plan_sale(self, collateral_type: int, vault: Vault, room: int) -> Sale:
        position = self.build_position(collateral_type, vault)
        return self._get_pool_model(collateral_type).pricing.plan_sale(position, room)

    def _get_pool_model(self, collateral_type: int) -> OffsetPool:
        """Return a read-only model of a type's stability pool on top of the snapshot's tables."""
        terms = self._parameters.collateral_types[collateral_type].stability_pool
        assert terms is not None
        tables = self._snapshot[name_stability_pool(self.symbols[collateral_type])]
        found: Any = object.__new__(_KINDS[self._parameters.stability_pool_contract])
        found.penalty, found.reward, found.has_write_off = terms.penalty, terms.reward, terms.has_write_off
        found.entry_delay = terms.entry_delay
        found.product_state = FrozenTable(tables["product_sum.state"], State())
        found.waiting_entries = FrozenTable(tables["waiting_entries"], Entries())
        pool: OffsetPool = found
        return pool
