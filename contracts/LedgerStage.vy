# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title LedgerStage
@license GNU Affero General Public License v3.0 only
@notice A stage of the loss waterfall that pays from the ledger itself: a type's own buffer, the
        reserve that all types share, or the type's other borrowers. It holds nothing.
"""
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine

implements: IStage

BUFFER: constant(uint256) = 0
RESERVE: constant(uint256) = 1
REDISTRIBUTION: constant(uint256) = 2

VAULT_ENGINE: public(immutable(IVaultEngine))
LOSS_WATERFALL: public(immutable(address))
# Which account pays: BUFFER, RESERVE or REDISTRIBUTION.
ACCOUNT: public(immutable(uint256))


@deploy
def __init__(vault_engine: address, loss_waterfall: address, account: uint256):
    """
    @param vault_engine The ledger; this contract needs its STAGE role.
    @param loss_waterfall The only caller of `absorb`.
    @param account [kind] 0 for the type's buffer, 1 for the reserve, 2 for the type's borrowers.
    """
    assert account <= REDISTRIBUTION, "ledger_stage: unknown account"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LOSS_WATERFALL = loss_waterfall
    ACCOUNT = account


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice Return the amount that the account can pay for a type.
    @param collateral_type [id] The collateral type.
    @return [rad] The balance; for borrowers, the amount that they can still bear in this epoch.
    """
    if ACCOUNT == BUFFER:
        return staticcall VAULT_ENGINE.buffer_of(collateral_type)
    if ACCOUNT == RESERVE:
        return staticcall VAULT_ENGINE.reserve()
    return staticcall VAULT_ENGINE.redistribution_room(collateral_type)


@external
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Cover a deficit from the account. Loss waterfall only.
    @param collateral_type [id] The type that lost.
    @param amount [rad] At most the capacity and the deficit.
    @return [rad] Covered: the amount, but for redistribution, which rounds down.
    @return [rad] Reserved: always 0.
    """
    assert msg.sender == LOSS_WATERFALL, "ledger_stage: not loss waterfall"
    if ACCOUNT == BUFFER:
        extcall VAULT_ENGINE.cover_from_buffer(collateral_type, amount)
        return amount, 0
    if ACCOUNT == RESERVE:
        extcall VAULT_ENGINE.cover_from_reserve(collateral_type, amount)
        return amount, 0
    return extcall VAULT_ENGINE.cover_by_redistribution(collateral_type, amount), 0
