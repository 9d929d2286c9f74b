# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title signature_check
@license GNU Affero General Public License v3.0 only
@notice Whether an account has signed something: by its key, or, where it is a contract, by saying so
        (ERC-1271). A key signs for every account of its address, a contract for its own alone.
"""
from contracts.modules import account_owner

# [bytes] Enough for a wallet of fifteen keys.
LONGEST: constant(uint256) = 1_024
# `isValidSignature(bytes32,bytes)`, which is also what it answers.
IS_VALID: constant(bytes4) = 0x1626ba7e
# Of the two signatures of a key that sign the same, the one with the lower half counts.
HIGHEST_HALF: constant(bytes32) = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


@internal
@view
def _is_signed(account: address, digest: bytes32, signature: Bytes[LONGEST]) -> bool:
    """
    @dev A key's signature counts first, without a look at the account. A contract is asked in a call that can
         change nothing; one that fails, or answers anything else, has not signed. Its answer may change: a
         caller that relies on it asks again.
    """
    if len(signature) == 65:
        half: uint256 = convert(extract32(signature, 32), uint256)
        v: uint256 = convert(slice(signature, 64, 1), uint256)
        signer: address = ecrecover(digest, v, convert(extract32(signature, 0), uint256), half)
        if half <= convert(HIGHEST_HALF, uint256) and signer != empty(address):
            if account_owner._is_owner(account, signer):
                return True
    if not account.is_contract:
        return False
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        account,
        abi_encode(digest, signature, method_id=IS_VALID),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, bytes32) == convert(IS_VALID, bytes32)
