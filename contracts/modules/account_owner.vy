# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title account_owner
@license GNU Affero General Public License v3.0 only
@notice Defines the owner of an account in the perpetual markets. An address has 256 of them, all addresses
        that differ from it in the last byte alone: its own, and 255 for positions with a margin of their own.
        Nothing else knows that they are one owner's. A key for a stranger's other 19 bytes takes 2**152
        tries.
"""


@internal
@view
def _is_owner(account: address, who: address) -> bool:
    """
    @dev Where there is code, the account is that contract's alone: an attacker that chooses the address of a
         contract might choose a key beside it, at 2**76 tries.
    """
    if who == account:
        return True
    return (convert(who, uint256) ^ convert(account, uint256)) >> 8 == 0 and not account.is_contract
