# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ClawbackStage
@license GNU Affero General Public License v3.0 only
@notice A stage of the loss waterfall that takes back the income of pools that has not vested yet: income that
        the protocol paid out before it knew of a loss. It holds nothing. A pool that fails is passed over: it
        keeps neither the income of the others, nor their members.
"""
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import units

implements: IStage

# More than any pool can hold, wad: one that claims it has failed.
TOO_MUCH: constant(uint256) = 2**96

VAULT_ENGINE: public(immutable(IVaultEngine))
LOSS_WATERFALL: public(immutable(address))
# The pools, the first to be asked comes first.
POOLS: immutable(DynArray[address, bounds.MAX_POOLS])


@deploy
def __init__(vault_engine: address, loss_waterfall: address, pools: DynArray[address, bounds.MAX_POOLS]):
    """
    @param vault_engine The ledger, which reports the amount that a pool has paid.
    @param loss_waterfall The only caller of `absorb`.
    @param pools Pools of stablecoin that have this contract as theirs; each needs the ledger's STAGE
                 role.
    """
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LOSS_WATERFALL = loss_waterfall
    POOLS = pools


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice Return the unvested income of all pools, the same for every collateral type.
    @param collateral_type [id] Any; it makes no difference.
    @return [rad] Whole wei, of the pools that answer.
    """
    total: uint256 = 0
    for pool: address in POOLS:
        total += self._get_unvested_income(pool)
    return total * units.RAY


@external
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Cover a deficit from unvested income. Loss waterfall only.
    @param collateral_type [id] The type that lost.
    @param amount [rad] At most the capacity; assets burned are rounded up.
    @return [rad] Covered, by the word of the ledger, not of a pool.
    @return [rad] Reserved: always 0.
    """
    assert msg.sender == LOSS_WATERFALL, "clawback: not loss waterfall"
    deficit: uint256 = staticcall VAULT_ENGINE.deficit_of(collateral_type)
    covered: uint256 = 0
    for pool: address in POOLS:
        part: uint256 = min(amount - min(amount, covered), self._get_unvested_income(pool) * units.RAY)
        if part == 0:
            continue
        # The gas that the waterfall gives is enough for all pools, whatever becomes of them.
        success: bool = raw_call(
            pool,
            abi_encode(collateral_type, part, method_id=method_id("claw_back(uint256,uint256)")),
            gas=bounds.CLAW_BACK_GAS,
            revert_on_failure=False,
        )
        if success:
            covered = deficit - min(deficit, staticcall VAULT_ENGINE.deficit_of(collateral_type))
    return covered, 0


@external
@view
def pools() -> DynArray[address, bounds.MAX_POOLS]:
    """
    @notice The pools, in the order in which they are asked.
    @return The first to be asked comes first.
    """
    return POOLS


# ------------------------------------------------------------------ helpers


@internal
@view
def _get_unvested_income(pool: address) -> uint256:
    """
    @dev A pool's unvested income, wad; 0 if it does not answer.
    """
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        pool,
        method_id("unvested()"),
        max_outsize=32,
        gas=bounds.UNVESTED_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 32:
        return 0
    unvested: uint256 = convert(answer, uint256)
    return 0 if unvested >= TOO_MUCH else unvested
