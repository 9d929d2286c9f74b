# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ScriptedPolicy
@license GNU Affero General Public License v3.0 only
@notice A risk policy that allows everything, and records the mode. For tests of the circuit breaker.
"""
from contracts.interfaces import IRiskPolicy
from contracts.modules import units

implements: IRiskPolicy

CIRCUIT_BREAKER: public(immutable(address))

# What the circuit breaker said last.
mode: public(uint256)


@deploy
def __init__(circuit_breaker: address):
    """
    @notice The wiring is final.
    """
    CIRCUIT_BREAKER = circuit_breaker


@external
def set_mode(mode: uint256):
    """
    @notice Record a mode. Circuit breaker only.
    """
    assert msg.sender == CIRCUIT_BREAKER, "scripted_policy: only breaker"
    self.mode = mode


@external
def check_new_risk(
    collateral_type: uint256,
    locked_collateral: uint256,
    debt: uint256,
    type_debt: uint256,
    initial_ratio: uint256,
    drawn: uint256,
    withdrawn: uint256,
):
    """
    @notice Any new risk is fine.
    """
    pass


@external
@view
def requirement(collateral_type: uint256, debt: uint256) -> uint256:
    """
    @notice No vault needs more than its ratio.
    """
    return 0


@external
@view
def limits_factor() -> uint256:
    """
    @notice All of the auction limits, basis points.
    """
    return units.BASIS_POINTS
