# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title debt_repayment
@license GNU Affero General Public License v3.0 only
@notice How debt is paid back that has left its vault, by an auction or in instalments: the principal first,
        then the charges on top of it.
"""
from contracts.modules import units

# One micro stablecoin in rad and in wad.
MICRO_RAD: constant(uint256) = 10**39
MICRO_WAD: constant(uint256) = 10**12


@internal
@pure
def _principal_left(target: uint256, on_top: uint256, excess: uint256) -> uint256:
    """
    @dev Rad of principal in the unpaid amount.
    @param target Still to be paid, wad.
    @param on_top Asked for on top of the principal, micro stablecoins.
    @param excess Rad by which the principal was rounded up to whole wei.
    """
    wanted: uint256 = unsafe_mul(target, units.RAY)
    beyond: uint256 = unsafe_add(unsafe_mul(on_top, MICRO_RAD), excess)
    if wanted <= beyond:
        return 0
    return unsafe_sub(wanted, beyond)
