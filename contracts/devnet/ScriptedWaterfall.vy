# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ScriptedWaterfall
@license GNU Affero General Public License v3.0 only
@notice A waterfall that has one stage pay a scripted amount, and claims any losses. For tests of stages.
"""
from contracts.interfaces import IStage

CAP_DELAY: public(constant(uint256)) = 30 * 86_400

# What it claims that losses will take from any stage, rad.
claimed_losses: uint256


@external
def claim(losses: uint256):
    """
    @notice Set the losses that it claims. Anyone.
    @param losses [rad] Of any stage, and in all.
    """
    self.claimed_losses = losses


@external
def charge(stage: address, collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Have a stage pay. Anyone.
    @param stage Which stage.
    @param collateral_type [id] The type that lost.
    @param amount [rad] To be covered.
    @return [rad] Covered, as the stage reports.
    @return [rad] Reserved, as the stage reports.
    """
    return extcall IStage(stage).absorb(collateral_type, amount)


@external
@view
def losses_reaching(stage: address) -> uint256:
    """
    @notice The losses that it claims for a stage.
    @param stage Any; it makes no difference.
    @return [rad] As claimed.
    """
    return self.claimed_losses


@external
@view
def losses_at_payment(stage: address) -> uint256:
    """
    @notice Return the losses that it claims for a stage, at any prices.
    @param stage Any; it makes no difference.
    @return [rad] As claimed.
    """
    return self.claimed_losses


@external
@view
def pending_total() -> uint256:
    """
    @notice The losses that it claims in all.
    @return [rad] As claimed.
    """
    return self.claimed_losses
