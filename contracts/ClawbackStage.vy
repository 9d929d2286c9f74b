# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ClawbackStage
@license GNU Affero General Public License v3.0 only
@notice A stage of the loss waterfall that takes back the income of pools that has not vested yet: what
        the protocol gave away before it knew of a loss. It holds nothing.
"""
from contracts.interfaces import IPool
from contracts.interfaces import IStage
from contracts.modules import bounds
from contracts.modules import units

implements: IStage

LOSS_WATERFALL: public(immutable(address))
# The pools, the first to be asked comes first.
POOLS: immutable(DynArray[address, bounds.MAX_POOLS])


@deploy
def __init__(loss_waterfall: address, pools: DynArray[address, bounds.MAX_POOLS]):
    """
    @param loss_waterfall The only caller of `absorb`.
    @param pools Pools of stablecoin that have this contract as theirs; each needs the ledger's STAGE
                 role.
    """
    LOSS_WATERFALL = loss_waterfall
    POOLS = pools


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice The unvested income of all pools, whatever the type.
    @param collateral_type [id] Any; it makes no difference.
    @return [rad] Whole wei.
    """
    total: uint256 = 0
    for pool: address in POOLS:
        total += staticcall IPool(pool).unvested()
    return total * units.RAY


@external
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Cover a deficit from unvested income. Loss waterfall only.
    @param collateral_type [id] The type that lost.
    @param amount [rad] At most the capacity; assets burned are rounded up.
    @return [rad] Covered.
    @return [rad] Reserved: always 0.
    """
    assert msg.sender == LOSS_WATERFALL, "clawback: not loss waterfall"
    left: uint256 = amount
    covered: uint256 = 0
    for pool: address in POOLS:
        part: uint256 = min(left, staticcall IPool(pool).unvested() * units.RAY)
        if part != 0:
            covered += extcall IPool(pool).claw_back(collateral_type, part)
            left -= part
    return covered, 0


@external
@view
def pools() -> DynArray[address, bounds.MAX_POOLS]:
    """
    @notice The pools, in the order in which they are asked.
    @return The first to be asked comes first.
    """
    return POOLS
