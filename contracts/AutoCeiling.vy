# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title AutoCeiling
@license GNU Affero General Public License v3.0 only
@notice Keeps each type's debt ceiling a gap above its debt, under a highest line. Lending of a type can grow
        by at most the gap in each ttl, without ceilings being set by hand.
@dev line = min(debt + gap, max_line), in whole stablecoins, the debt rounded up: performing, under auction
     and in deficit, as a draw counts it. Needs the role CEILINGS of the vault engine. A ceiling binds
     draws only, so nothing here is in the way of anything else. The ceiling of all types stays the admin's.
"""
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import roles
from contracts.modules import units

initializes: roles

exports: (
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
)


event TermsSet:
    collateral_type: indexed(uint256)  # [id]
    gap: uint256  # [whole stablecoins]
    max_line: uint256  # [whole stablecoins]
    ttl: uint256  # [seconds]


event Adjusted:
    collateral_type: indexed(uint256)  # [id]
    old: uint256  # [whole stablecoins]
    new: uint256  # [whole stablecoins]
    by: indexed(address)


struct Terms:
    gap: uint256  # whole stablecoins, 32 bits
    max_line: uint256  # whole stablecoins, 32 bits; 0 is no automation
    ttl: uint256  # seconds between two raises, 32 bits
    raised_at: uint256  # seconds, 32 bits


MASK_32: constant(uint256) = 2**32 - 1

VAULT_ENGINE: public(immutable(IVaultEngine))

# collateral type -> Terms
terms: HashMap[uint256, uint256]


@deploy
def __init__(vault_engine: address, admin: address):
    """
    @notice Wire the contract to the protocol, for good.
    @param vault_engine The ledger; this contract needs its CEILINGS role.
    @param admin The first admin.
    """
    roles.__init__(admin)
    VAULT_ENGINE = IVaultEngine(vault_engine)


@external
def adjust(collateral_type: uint256) -> uint256:
    """
    @notice Set a type's ceiling to its debt plus the gap. Permissionless; not in settlement. Fees are charged
            first. Protects: a ceiling is never set above the highest line and is raised at most once in a
            ttl. An account that draws, adjusts and repays in one transaction gains one raise, which any
            account can take back at once; lowering is possible at any time.
    @param collateral_type [id] The collateral type.
    @return [whole stablecoins] The type's ceiling afterwards; the same as before if there is nothing to
            change, or if it may not be raised yet.
    """
    terms: Terms = self._load(collateral_type)
    assert terms.max_line != 0, "auto_ceiling: no terms"
    assert not staticcall VAULT_ENGINE.in_settlement(), "auto_ceiling: in settlement"
    extcall VAULT_ENGINE.accrue(collateral_type)
    debts: IVaultEngine.Debts = staticcall VAULT_ENGINE.debts_of(collateral_type)
    debt: uint256 = (
        debts.normalized_debt * debts.accumulated_rate
        + staticcall VAULT_ENGINE.in_auction_of(collateral_type)
        + staticcall VAULT_ENGINE.deficit_of(collateral_type)
    )
    old: uint256 = (staticcall VAULT_ENGINE.terms_of(collateral_type)).debt_ceiling
    new: uint256 = min(units._div_up(debt, units.RAD) + terms.gap, terms.max_line)
    if new > old:
        if block.timestamp < terms.raised_at + terms.ttl:
            return old
        terms.raised_at = block.timestamp
        self._store(collateral_type, terms)
    if new != old:
        extcall VAULT_ENGINE.set_debt_ceiling(collateral_type, new)
        log Adjusted(collateral_type=collateral_type, old=old, new=new, by=msg.sender)
    return new


@external
def set_terms(collateral_type: uint256, gap: uint256, max_line: uint256, ttl: uint256):
    """
    @notice Set how a type's ceiling follows its debt. Admin only. New terms do not make a raise come earlier
            than their ttl after the last one; the ceiling itself stays until the next `adjust`.
    @param collateral_type [id] The collateral type.
    @param gap [whole stablecoins] From the debt up to the ceiling.
    @param max_line [whole stablecoins] The highest ceiling; 0 ends the automation.
    @param ttl [seconds] Between two raises.
    """
    roles._only_admin()
    assert collateral_type < staticcall VAULT_ENGINE.collateral_types(), "auto_ceiling: unknown type"
    assert gap != 0 and gap <= bounds.MAX_DEBT_CEILING, "auto_ceiling: gap bounds"
    assert max_line <= bounds.MAX_DEBT_CEILING, "auto_ceiling: line bounds"
    assert ttl >= bounds.MIN_CEILING_TTL and ttl <= bounds.MAX_CEILING_TTL, "auto_ceiling: ttl bounds"
    raised_at: uint256 = self._load(collateral_type).raised_at
    self._store(collateral_type, Terms(gap=gap, max_line=max_line, ttl=ttl, raised_at=raised_at))
    log TermsSet(collateral_type=collateral_type, gap=gap, max_line=max_line, ttl=ttl)


@external
@view
def terms_of(collateral_type: uint256) -> Terms:
    """
    @notice How a type's ceiling follows its debt, and when it was raised last.
    @param collateral_type [id] The collateral type.
    @return The terms; zeros if none were set.
    """
    return self._load(collateral_type)


@internal
@view
def _load(collateral_type: uint256) -> Terms:
    word: uint256 = self.terms[collateral_type]
    return Terms(
        gap=word & MASK_32,
        max_line=(word >> 32) & MASK_32,
        ttl=(word >> 64) & MASK_32,
        raised_at=word >> 96,
    )


@internal
def _store(collateral_type: uint256, terms: Terms):
    self.terms[collateral_type] = (
        terms.gap | (terms.max_line << 32) | (terms.ttl << 64) | (terms.raised_at << 96)
    )
