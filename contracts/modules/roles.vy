# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title roles
@license GNU Affero General Public License v3.0 only
@notice Permissions: one admin, handed over in two steps, and roles that it grants.
@dev Built on snekmate's `access_control`; its own grant and revoke are not exported, because they
     would hand over the admin in one step.
"""
from snekmate.auth import access_control

from contracts.modules import revert_reason

initializes: access_control

CEILINGS: constant(bytes32) = keccak256("CEILINGS")
GUARDIAN: constant(bytes32) = keccak256("GUARDIAN")
MINTER: constant(bytes32) = keccak256("MINTER")
SETTLEMENT: constant(bytes32) = keccak256("SETTLEMENT")
SHORTFALL: constant(bytes32) = keccak256("SHORTFALL")
STAGE: constant(bytes32) = keccak256("STAGE")


event AdminTransferStarted:
    previous_admin: indexed(address)
    new_admin: indexed(address)


event AdminTransferred:
    previous_admin: indexed(address)
    new_admin: indexed(address)


admin: public(address)
pending_admin: public(address)


@deploy
def __init__(admin: address):
    """
    @param admin The first admin.
    """
    access_control.__init__()
    access_control._revoke_role(access_control.DEFAULT_ADMIN_ROLE, msg.sender)
    self._set_admin(admin)


@external
def transfer_admin(new_admin: address):
    """
    @notice Offer the admin role. Admin only. Protects: nothing changes until the new admin accepts, so a
            wrong address loses nothing.
    @param new_admin The account that may accept; the zero address withdraws the offer.
    """
    self._only_admin()
    self.pending_admin = new_admin
    log AdminTransferStarted(previous_admin=self.admin, new_admin=new_admin)


@external
def accept_admin():
    """
    @notice Take over the admin role. Only the account that it was offered to.
    """
    assert msg.sender == self.pending_admin, "roles: not pending admin"
    self.pending_admin = empty(address)
    access_control._revoke_role(access_control.DEFAULT_ADMIN_ROLE, self.admin)
    self._set_admin(msg.sender)


@external
def grant_role(role: bytes32, account: address):
    """
    @notice Give a role. Admin only. The admin role itself is not given so.
    @param role The role, keccak256 of its name.
    @param account The account that gets it.
    """
    self._only_admin()
    self._check_not_admin_role(role)
    access_control._grant_role(role, account)


@external
def revoke_role(role: bytes32, account: address):
    """
    @notice Take a role away. Admin only.
    @param role The role, keccak256 of its name.
    @param account The account that loses it.
    """
    self._only_admin()
    self._check_not_admin_role(role)
    access_control._revoke_role(role, account)


@external
@view
def has_role(role: bytes32, account: address) -> bool:
    """
    @notice Whether an account holds a role.
    @param role The role, keccak256 of its name.
    @param account The account to check.
    @return True if the account holds it now.
    """
    return access_control.hasRole[role][account]


@internal
@view
def _only_admin():
    if msg.sender != self.admin:
        revert_reason._raise("roles: not admin")


@internal
@view
def _check_role(role: bytes32):
    if not access_control.hasRole[role][msg.sender]:
        revert_reason._raise("roles: missing role")


@internal
@view
def _only_admin_or(role: bytes32):
    if not access_control.hasRole[role][msg.sender]:
        self._only_admin()


@internal
@pure
def _check_not_admin_role(role: bytes32):
    # The admin role itself moves only by the two-step hand-over.
    if role == access_control.DEFAULT_ADMIN_ROLE:
        revert_reason._raise("roles: admin is two-step")


@internal
def _set_admin(account: address):
    log AdminTransferred(previous_admin=self.admin, new_admin=account)
    self.admin = account
    access_control._grant_role(access_control.DEFAULT_ADMIN_ROLE, account)
