# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ScriptedStage
@license GNU Affero General Public License v3.0 only
@notice A stage that claims whatever it is told to, and pays nothing: busy, lying or absent. For tests
        of the loss waterfall.
"""
from contracts.interfaces import IStage

implements: IStage

# What it claims to hold, and to have paid, rad.
claimed_capacity: uint256
claimed_payment: uint256


@external
def claim(capacity: uint256, payment: uint256):
    """
    @notice Set what it claims. Anyone.
    @param capacity In rad; max_value(uint256) is busy.
    @param payment In rad.
    """
    self.claimed_capacity = capacity
    self.claimed_payment = payment


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice What it claims to hold.
    """
    return self.claimed_capacity


@external
def absorb(collateral_type: uint256, amount: uint256) -> uint256:
    """
    @notice Claim to have paid.
    """
    return self.claimed_payment
