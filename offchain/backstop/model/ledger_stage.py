"""A stage that pays from the ledger itself: a type's buffer, the reserve, or the type's borrowers."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import Contract, World, external, immutable, require, view
from backstop.model.interfaces import IVaultEngine

BUFFER = 0
RESERVE = 1
REDISTRIBUTION = 2


class LedgerStage(Contract):
    """Source of funds of the loss waterfall that pays from an account of the vault engine's ledger.

    The account is a type's buffer, the reserve, or the debts of the type's borrowers. Model of
    contracts/LedgerStage.vy.
    """

    KIND = "LedgerStage"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    loss_waterfall = immutable("LOSS_WATERFALL", str)
    # Which account pays: BUFFER, RESERVE or REDISTRIBUTION.
    account = immutable("ACCOUNT", int)

    def __init__(
        self, world: World, name: str, address: str, vault_engine: str, loss_waterfall: str, account: int
    ) -> None:
        super().__init__(world, name, address)
        require(account <= REDISTRIBUTION, "ledger_stage: unknown account")
        self.vault_engine_address = vault_engine
        self.loss_waterfall = loss_waterfall
        self.account = account

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return the amount that the stage's ledger account can pay for a collateral type's losses [rad]."""
        if self.account == BUFFER:
            return self.vault_engine.buffer_of(self.address, collateral_type)
        if self.account == RESERVE:
            return self.vault_engine.reserve(self.address)
        return self.vault_engine.redistribution_room(self.address, collateral_type)

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Cover a deficit [rad] from the stage's ledger account, and return (amount covered, 0) [rad].

        The second value is 0 because this stage reserves nothing. Redistribution to borrowers rounds down.
        Only the loss waterfall may call this.
        """
        require(sender == self.loss_waterfall, "ledger_stage: not loss waterfall")
        if self.account == BUFFER:
            self.vault_engine.cover_from_buffer(self.address, collateral_type, amount)
            return amount, 0
        if self.account == RESERVE:
            self.vault_engine.cover_from_reserve(self.address, collateral_type, amount)
            return amount, 0
        return self.vault_engine.cover_by_redistribution(self.address, collateral_type, amount), 0
