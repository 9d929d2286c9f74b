"""Access control: one admin, handed over in two steps, and roles that it grants."""

from __future__ import annotations

from typing import Any

from backstop.contract_base import ZERO_ADDRESS, Contract, World, external, require, view
from backstop.evm_crypto import keccak256

CEILINGS = keccak256(b"CEILINGS")
GUARDIAN = keccak256(b"GUARDIAN")
MINTER = keccak256(b"MINTER")
SETTLEMENT = keccak256(b"SETTLEMENT")
SHORTFALL = keccak256(b"SHORTFALL")
STAGE = keccak256(b"STAGE")
DEFAULT_ADMIN_ROLE = bytes(32)


class Administered(Contract):
    """Base of contracts with one admin and roles that the admin grants (model of contracts/modules/roles.vy).

    Not mirrored: snekmate's `getRoleAdmin` (nothing exported writes it) and the constructor's events.
    """

    def __init__(self, world: World, name: str, address: str, admin: str, *others: Any) -> None:
        super().__init__(world, name, address, *others)
        self.admins = self.table("roles.admin", ZERO_ADDRESS)
        self.pending_admins = self.table("roles.pending_admin", ZERO_ADDRESS)
        self.roles = self.table("roles.access_control.hasRole", False)
        self.admins[()] = admin
        self.roles[DEFAULT_ADMIN_ROLE, admin] = True

    @external
    def transfer_admin(self, sender: str, new_admin: str) -> None:
        """Offer the admin role to an account, which must accept it; until then nothing changes."""
        self._only_admin(sender)
        self.pending_admins[()] = new_admin
        self.emit("AdminTransferStarted", self.admins[()], new_admin)

    @external
    def accept_admin(self, sender: str) -> None:
        """Take over the admin role that was offered to the caller."""
        require(sender == self.pending_admins[()], "roles: not pending admin")
        self.pending_admins[()] = ZERO_ADDRESS
        previous = self.admins[()]
        self._revoke_role(sender, DEFAULT_ADMIN_ROLE, previous)
        self.emit("AdminTransferred", previous, sender)
        self.admins[()] = sender
        self._grant_role(sender, DEFAULT_ADMIN_ROLE, sender)

    @external
    def grant_role(self, sender: str, role: bytes, account: str) -> None:
        """Grant a role to an account; only the admin may call."""
        self._only_admin(sender)
        _check_not_admin_role(role)
        self._grant_role(sender, role, account)

    @external
    def revoke_role(self, sender: str, role: bytes, account: str) -> None:
        """Revoke a role from an account; only the admin may call."""
        self._only_admin(sender)
        _check_not_admin_role(role)
        self._revoke_role(sender, role, account)

    @view
    def has_role(self, sender: str, role: bytes, account: str) -> bool:
        """Return True if an account holds a role."""
        return bool(self.roles[role, account])

    @view
    def admin(self, sender: str) -> str:
        """Return the address of the admin, which sets parameters and grants roles."""
        return str(self.admins[()])

    @view
    def pending_admin(self, sender: str) -> str:
        """Return the address to which the admin role is offered; the zero address if there is none."""
        return str(self.pending_admins[()])

    def _only_admin(self, sender: str) -> None:
        require(sender == self.admins[()], "roles: not admin")

    def _check_role(self, sender: str, role: bytes) -> None:
        require(self.roles[role, sender], "roles: missing role")

    def _only_admin_or(self, sender: str, role: bytes) -> None:
        if not self.roles[role, sender]:
            self._only_admin(sender)

    def _grant_role(self, sender: str, role: bytes, account: str) -> None:
        if not self.roles[role, account]:
            self.roles[role, account] = True
            self.emit("RoleGranted", role, account, sender)

    def _revoke_role(self, sender: str, role: bytes, account: str) -> None:
        if self.roles[role, account]:
            self.roles[role, account] = False
            self.emit("RoleRevoked", role, account, sender)


def _check_not_admin_role(role: bytes) -> None:
    require(role != DEFAULT_ADMIN_ROLE, "roles: admin is two-step")
