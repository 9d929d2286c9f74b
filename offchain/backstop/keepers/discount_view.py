"""A keeper's view of types with a liquidation mechanism that sells unsafe vaults, and of those sales."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from backstop.contract_base import ZERO_ADDRESS, RevertError
from backstop.keepers.pool_reader import FrozenTable
from backstop.keepers.vault_view import VaultView
from backstop.keepers.view_records import Vault
from backstop.model import ledger
from backstop.model.arithmetic import RAD
from backstop.model.fixed_discount import FixedDiscount, Terms
from backstop.model.interfaces import Position, Sale
from backstop.model.partial_sale_discount import PartialSaleDiscount

_KINDS: dict[str, type[FixedDiscount]] = {kind.KIND: kind for kind in (FixedDiscount, PartialSaleDiscount)}
_CONTRACT = "FixedDiscount"


class DiscountView(VaultView):
    """View of the sales of unsafe vaults at a fixed discount, at one block."""

    def has_mechanism(self, collateral_type: int) -> bool:
        """Return True if a liquidation mechanism other than auctions sells a type's unsafe vaults."""
        return self.get_mechanism(collateral_type) != ZERO_ADDRESS

    def list_types_with_discount(self) -> list[int]:
        """Return the collateral types with unsafe vaults sold by the deployment's FixedDiscount contract."""
        own = self.addresses.get(_CONTRACT)
        return [c for c in range(len(self.symbols)) if own and self.get_mechanism(c) == own]

    def has_unsafe_vault_at_discount(self) -> bool:
        """Return True if at least one vault can be bought at a fixed discount now."""
        return any(
            self.can_sell_vaults(c) and self.has_unsafe_vault(c) for c in self.list_types_with_discount()
        )

    def plan_discount_sale(
        self, collateral_type: int, vault: Vault, max_collateral: int, max_repay: int
    ) -> Sale | None:
        """Return the sale of an unsafe vault to a buyer now: collateral, fee, payment and repaid debt.

        `max_collateral` and `max_repay` are the buyer's limits [wad]. None if the mechanism or the
        liquidation engine would refuse the sale.
        """
        key = collateral_type, vault.owner, max_collateral, max_repay
        if key not in self._sales:
            self._sales[key] = self._plan_discount_sale(collateral_type, vault, max_collateral, max_repay)
        return self._sales[key]

    @cached_property
    def _sales(self) -> dict[tuple[int, str, int, int], Sale | None]:
        """Cache of planned sales, by collateral type, owner and the buyer's two limits."""
        return {}

    def _plan_discount_sale(
        self, collateral_type: int, vault: Vault, max_collateral: int, max_repay: int
    ) -> Sale | None:
        if not self.can_sell_vaults(collateral_type):
            return None
        position = self.build_position(collateral_type, vault)
        try:
            sale: Sale = self._discount_model.plan_sale(
                self.addresses[_CONTRACT], collateral_type, position, max_collateral, max_repay
            )
        except RevertError:
            return None
        rest = (vault.normalized_debt - sale.normalized_debt) * position.accumulated_rate
        is_something = sale.collateral > sale.fee and sale.normalized_debt != 0
        return sale if is_something and (rest == 0 or rest >= position.debt_floor) else None

    def build_position(self, collateral_type: int, vault: Vault, buyer: str = ZERO_ADDRESS) -> Position:
        """Return an unsafe vault as the engine describes it to the type's liquidation mechanism."""
        terms = self.get_terms(collateral_type)
        return Position(
            vault.locked,
            vault.normalized_debt,
            self.get_current_rate(collateral_type),
            terms.liquidation_ratio,
            terms.debt_floor * RAD,
            terms.unit,
            self.get_higher_current_or_next(collateral_type),
            buyer,
        )

    def compute_lowest_discount_price(self, collateral_type: int) -> int:
        """Return the price of 1e18 of collateral at a type's largest bonus [ray], rounded down."""
        terms = self._discount_model.terms[collateral_type]
        ratio = self.get_terms(collateral_type).liquidation_ratio
        numerator, denominator = terms.compute_bonus(ratio, 0)
        price = self.get_higher_current_or_next(collateral_type)
        return int(price * denominator // numerator)

    def can_sell_vaults(self, collateral_type: int) -> bool:
        """Return True if the mechanism may sell unsafe vaults of a type now.

        The price must be fresh and not held back by a halt or grace period, and the type's auction limit must
        not be 0.
        """
        is_priced = self.get_liquidation_price(collateral_type) and self.get_current_price(collateral_type)
        limits: ledger.Auctions = self._engine["ledger.auctions"].get(collateral_type, ledger.Auctions())
        return bool(is_priced) and limits.limit != 0

    def get_mechanism(self, collateral_type: int) -> str:
        """Return the address of a type's liquidation mechanism; the zero address if it uses auctions."""
        tables = self._snapshot["LiquidationEngine"]
        return str(tables["mechanism_of"].get(collateral_type, ZERO_ADDRESS))

    @cached_property
    def _discount_model(self) -> FixedDiscount:
        """Read-only model of the FixedDiscount contract over the snapshot's tables."""
        found: Any = object.__new__(_KINDS[self._parameters.discount_contract])
        found.terms = FrozenTable(self._snapshot[_CONTRACT]["terms"], Terms())
        model: FixedDiscount = found
        return model
