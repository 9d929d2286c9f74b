"""Each type's debt ceiling stays a gap above its debt, under a highest line; it is raised once in a ttl."""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import RAD, div_up
from backstop.model.interfaces import IVaultEngine
from backstop.model.roles import Administered


@declare_record_slot_bit_widths(32, 32, 32, 32)
class Terms(NamedTuple):
    """Terms of a collateral type's automatic debt ceiling [whole stablecoins, seconds].

    `gap` is the margin above the debt, `max_line` is the highest ceiling, and `ttl` is the least time between
    two increases.
    """

    gap: int = 0
    max_line: int = 0  # 0 is no automation
    ttl: int = 0
    raised_at: int = 0

    def compute_ceiling(self, debt: int) -> int:
        """Return the debt ceiling for a debt [rad], in whole stablecoins.

        It is the debt, rounded up, plus the gap, and at most `max_line`.
        """
        return min(div_up(debt, RAD) + self.gap, self.max_line)


class AutoCeiling(Administered):
    """Contract that adjusts debt ceilings to the debt drawn (model of contracts/AutoCeiling.vy)."""

    KIND = "AutoCeiling"

    vault_engine_address = immutable("VAULT_ENGINE", str)

    def __init__(self, world: World, name: str, address: str, vault_engine: str, admin: str) -> None:
        super().__init__(world, name, address, admin)
        self.vault_engine_address = vault_engine
        self.terms = self.table("terms", Terms())

    @property
    def engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @external
    def adjust(self, sender: str, collateral_type: int) -> int:
        """Set a type's debt ceiling to its debt plus the gap, and return it [whole stablecoins].

        Any account may call this. A ceiling rises at most once in `ttl` seconds; before that time an increase
        leaves the old ceiling unchanged and returns it. Decreases apply at once. Reverts without terms and in
        settlement.
        """
        terms: Terms = self.terms[collateral_type]
        require(terms.max_line != 0, "auto_ceiling: no terms")
        require(not self.engine.in_settlement(self.address), "auto_ceiling: in settlement")
        self.engine.accrue(self.address, collateral_type)
        debt = (
            self.engine.debts_of(self.address, collateral_type).performing
            + self.engine.in_auction_of(self.address, collateral_type)
            + self.engine.deficit_of(self.address, collateral_type)
        )
        old = self.engine.terms_of(self.address, collateral_type).debt_ceiling
        new = terms.compute_ceiling(debt)
        if new > old:
            if self.world.timestamp < terms.raised_at + terms.ttl:
                return old
            self.terms[collateral_type] = terms._replace(raised_at=self.world.timestamp)
        if new != old:
            self.engine.set_debt_ceiling(self.address, collateral_type, new)
            self.emit("Adjusted", collateral_type, old, new, sender)
        return new

    @external
    def set_terms(self, sender: str, collateral_type: int, gap: int, max_line: int, ttl: int) -> None:
        """Set the gap, the highest ceiling [whole stablecoins] and the time between increases [seconds].

        Only the admin may call this. The time of the last increase is kept.
        """
        self._only_admin(sender)
        require(collateral_type < self.engine.collateral_types(self.address), "auto_ceiling: unknown type")
        require(0 < gap <= bounds.MAX_DEBT_CEILING, "auto_ceiling: gap bounds")
        require(max_line <= bounds.MAX_DEBT_CEILING, "auto_ceiling: line bounds")
        require(bounds.MIN_CEILING_TTL <= ttl <= bounds.MAX_CEILING_TTL, "auto_ceiling: ttl bounds")
        raised_at = self.terms[collateral_type].raised_at
        self.terms[collateral_type] = Terms(gap, max_line, ttl, raised_at)
        self.emit("TermsSet", collateral_type, gap, max_line, ttl)

    @view
    def terms_of(self, sender: str, collateral_type: int) -> Terms:
        """Return a collateral type's automatic ceiling terms and the time of its last increase [seconds]."""
        terms: Terms = self.terms[collateral_type]
        return terms
