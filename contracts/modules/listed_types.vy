# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title listed_types
@license GNU Affero General Public License v3.0 only
@notice Which collateral types are listed, in one word: 8 bits of id + 1 for each, in the order of the ids,
        the first lowest.
"""
from contracts.modules import bounds


@internal
@pure
def _ids(listed: uint256) -> DynArray[uint256, bounds.MAX_COLLATERAL_TYPES]:
    """@dev The ids of a word, ascending."""
    ids: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = []
    rest: uint256 = listed
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if rest == 0:
            break
        ids.append(unsafe_sub(rest & 255, 1))
        rest >>= 8
    return ids


@internal
@pure
def _place(listed: uint256, found: uint256) -> uint256:
    """@dev [bits] Where a byte begins: id + 1, or 0 for the first that is free; 256 if there is none."""
    place: uint256 = 0
    for _: uint256 in range(bounds.MAX_COLLATERAL_TYPES):
        if (listed >> place) & 255 == found:
            break
        place = unsafe_add(place, 8)
    return place
