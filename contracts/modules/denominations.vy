# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title denominations
@license GNU Affero General Public License v3.0 only
@notice How shares of a pool are counted after losses that left each of them almost nothing. Shares live in
        generations: a share of one generation is worth STEP of the generation before. Nothing is voided by
        that: an account's balance is divided, rounded down, with all others.
@dev Before an entry the pool goes on by as many generations as it takes that
         supply + VIRTUAL_SHARES <= MOST_SHARES * (assets + VIRTUAL_ASSETS)
     so an entry never meets a price that losses before it have driven towards zero, and with assets under
     2**96 shares stay under 2**147. VOID generations further on, shares of so little are none: a pool that
     has lost all goes on by that many at once. One scale for all pools needs no record of a division.
"""

# Shares of a generation that one of the next is worth.
STEP: constant(uint256) = 10**9
# Generations after which shares are none: 2**147 < STEP**5.
VOID: constant(uint256) = 5
# Generations that an entry may go on by at most: 2**147 // STEP**4 + VIRTUAL_SHARES <= MOST_SHARES.
MOST_STEPS: constant(uint256) = 4
# Shares for a wei at most, where one enters.
MOST_SHARES: constant(uint256) = 10**15
VIRTUAL_SHARES: constant(uint256) = 10**6
VIRTUAL_ASSETS: constant(uint256) = 1


@internal
@pure
def _convert(shares: uint256, recorded: uint256, present: uint256) -> uint256:
    """@dev Shares of a generation in one that is not before it, rounded down."""
    steps: uint256 = unsafe_sub(present, recorded)
    if steps == 0:
        return shares
    if steps >= VOID:
        return 0
    return unsafe_div(shares, pow_mod256(STEP, steps))


@internal
@pure
def _steps(supply: uint256, assets: uint256) -> uint256:
    """@dev Generations to go on by before an entry into a pool of so many shares, and assets [wad]."""
    most: uint256 = unsafe_mul(unsafe_add(assets, VIRTUAL_ASSETS), MOST_SHARES)
    if unsafe_add(supply, VIRTUAL_SHARES) <= most:
        return 0
    left: uint256 = supply
    for n: uint256 in range(1, MOST_STEPS):
        left = unsafe_div(left, STEP)
        if unsafe_add(left, VIRTUAL_SHARES) <= most:
            return n
    return MOST_STEPS
