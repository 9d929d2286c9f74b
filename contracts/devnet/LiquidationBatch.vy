# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title LiquidationBatch
@license GNU Affero General Public License v3.0 only
@notice Starts the auctions of many vaults in one transaction. The contract holds no tokens and has
        no owner: the caller names the account that gets the rewards.
@dev Each liquidation is a call of its own with gas of its own. A liquidation that reverts, because a rival
     was faster or an auction limit is reached, takes nothing from the others. The batch leaves out the vaults
     that it has no gas for, and does not revert.
"""
interface ILiquidationEngine:
    def liquidate(collateral_type: uint256, owner: address, reward_receiver: address) -> uint256: nonpayable


event BatchLiquidated:
    collateral_type: indexed(uint256)  # [id]
    done: uint256  # [bits]


# [count] Vaults of one batch: each has a bit.
MAX_VAULTS: constant(uint256) = 128
# [gas] What is left for the end, once no further liquidation has gas enough.
GAS_AT_END: constant(uint256) = 20_000

LIQUIDATION_ENGINE: public(immutable(ILiquidationEngine))


@deploy
def __init__(liquidation_engine: address):
    """
    @param liquidation_engine The engine, in which it liquidates vaults.
    """
    LIQUIDATION_ENGINE = ILiquidationEngine(liquidation_engine)


@external
def liquidate_many(
    collateral_type: uint256,
    owners: DynArray[address, MAX_VAULTS],
    reward_receiver: address,
    gas_each: uint256,
    least: uint256,
) -> uint256:
    """
    @notice Liquidate the liquidatable vaults of a list in their order. Permissionless. Protects: no vault's
            liquidation fails because of another's; a batch that does too little reverts and starts nothing.
    @param collateral_type [id] The collateral type.
    @param owners Owners of the vaults.
    @param reward_receiver Receiver of the rewards, stablecoin.
    @param gas_each [gas] Gas of each liquidation, at most; without so much left the batch ends there.
    @param least [count] Fewer liquidations revert; none reverts in any case.
    @return [bits] Which were done: bit 0 is the first owner's.
    """
    done: uint256 = 0
    count: uint256 = 0
    bit: uint256 = 1
    for owner: address in owners:
        # A call is given 63 of 64 parts of what is left, at most.
        if msg.gas < gas_each + gas_each // 32 + GAS_AT_END:
            break
        if raw_call(
            LIQUIDATION_ENGINE.address,
            abi_encode(
                collateral_type,
                owner,
                reward_receiver,
                method_id=method_id("liquidate(uint256,address,address)"),
            ),
            gas=gas_each,
            revert_on_failure=False,
        ):
            done |= bit
            count += 1
        bit <<= 1
    assert count != 0 and count >= least, "liquidation_batch: too few"
    log BatchLiquidated(collateral_type=collateral_type, done=done)
    return done
