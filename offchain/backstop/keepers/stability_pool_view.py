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
    """Return the accounts that have coins in a pool with these tables, waiting ones included."""
    stakes: Mapping[int, Stake] = tables["product_sum.stakes"]
    requests: Mapping[str, Requests] = tables["member_requests"]
    ids = (number for number, stake in stakes.items() if number < BATCHES and stake.coins)
    waiting = (owner for owner, each in requests.items() if each.entry)
    return sorted({*(f"0x{number:040x}" for number in ids), *waiting})


class StabilityPoolView(DiscountView):
    """The stability pools of collateral types at one block."""

    def find_stability_pool(self, collateral_type: int) -> str | None:
        """Return the contract that is a type's stability pool; None if it has none of the deployment's."""
        name = name_stability_pool(self.symbols[collateral_type])
        own = self.addresses.get(name)
        return name if own is not None and self.get_mechanism(collateral_type) == own else None

    def list_types_with_stability_pool(self) -> list[int]:
        """Return the types with a pool that repays unsafe vaults."""
        return [c for c in range(len(self.symbols)) if self.find_stability_pool(c) is not None]

    def can_start_auctions(self, collateral_type: int) -> bool:
        """Return whether unsafe vaults of a type may ever be auctioned."""
        if self.find_stability_pool(collateral_type) is None:
            return not self.has_mechanism(collateral_type)
        has_write_off = self._get_pool_model(collateral_type).has_write_off
        return not has_write_off or self.get_current_price(collateral_type) == 0

    def can_auction_vault(self, collateral_type: int, vault: Vault) -> bool:
        """Return whether an unsafe vault may be auctioned now: no stability pool buys a part of it.

        At the last price of a dead feed a pool buys nothing.
        """
        if self.find_stability_pool(collateral_type) is None or not self.get_current_price(collateral_type):
            return True
        room = self.get_offset_room(collateral_type)
        return self._plan_sale(collateral_type, vault, room).normalized_debt == 0

    def get_offset_room(self, collateral_type: int) -> int:
        """Return the coins that a type's pool may pay [wad], with those that its next call admits."""
        state: State = self._get_pool_model(collateral_type).product_state[()]
        return state._replace(coins=state.coins + self._sum_admissible_entries(collateral_type)).offset_room

    def plan_offset(self, collateral_type: int, vault: Vault, room: int) -> Sale | None:
        """Return the sale of an unsafe vault to the type's pool for at most `room` [wad]; None if none."""
        if not self.can_sell_vaults(collateral_type):
            return None
        sale = self._plan_sale(collateral_type, vault, room)
        return sale if sale.collateral and sale.normalized_debt else None

    def compute_offset_reward(self, collateral_type: int, sale: Sale) -> int:
        """Return the reward of the liquidator [wad of collateral]."""
        unit = self.get_terms(collateral_type).unit
        pricing = self._get_pool_model(collateral_type).pricing
        return pricing.compute_reward(sale.collateral - sale.fee, unit)

    def iter_short_vaults(self, collateral_type: int) -> Iterator[Vault]:
        """Yield unsafe vaults that a pool writes off because its coins are too few, the largest first."""
        if self.can_start_auctions(collateral_type):
            return
        room = self.get_offset_room(collateral_type)
        for vault in self.iter_unsafe_vaults(collateral_type):
            sale = self.plan_offset(collateral_type, vault, room)
            if sale is not None and sale.fee:
                yield vault

    def can_admit_entries(self, collateral_type: int) -> bool:
        """Return whether coins that have waited may take part in a type's pool now."""
        return self._sum_admissible_entries(collateral_type) != 0

    def list_payable_members(self, collateral_type: int) -> list[str]:
        """Return the members of a type's pool with a withdrawal that can be paid now.

        A request is due once its cooldown is over, while no debt is at risk. In settlement every member's
        coins are due.
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
        """Return the coins that have waited, unless debt is at risk [wad]."""
        pool = self._get_pool_model(collateral_type)
        waiting: Entries = pool.waiting_entries[()]
        if waiting.older == 0 or self._is_debt_at_risk(collateral_type):
            return 0
        epoch = self.timestamp // pool.entry_delay
        batches = (waiting.older_epoch, waiting.older), (waiting.newer_epoch, waiting.newer)
        return sum(amount for came_in, amount in batches if came_in + _ENTRY_EPOCHS <= epoch)

    def _is_debt_at_risk(self, collateral_type: int) -> bool:
        """Return whether a vault of a type is flagged, or a price has just fallen."""
        flagged = self._snapshot["LiquidationEngine"]["vault_flags.of_types"].get(collateral_type, 0)
        return flagged != 0 or self.timestamp < self.withdrawals_paused_until

    def _plan_sale(self, collateral_type: int, vault: Vault, room: int) -> Sale:
        position = self.build_position(collateral_type, vault)
        return self._get_pool_model(collateral_type).pricing.plan_sale(position, room)

    def _get_pool_model(self, collateral_type: int) -> OffsetPool:
        """Return a pool's model over the tables of the snapshot; nothing can be written to it."""
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
