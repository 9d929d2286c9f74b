# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Erc1271Wallet
@license GNU Affero General Public License v3.0 only
@notice An account that is a contract: it has signed the hashes set before (ERC-1271), or answers nonsense.
        For tests.
"""

# digest -> what it answers, whatever the signature
answers: HashMap[bytes32, bytes32]


@external
def answer(digest: bytes32, answer: bytes32):
    """
    @notice Set the answer for a digest. Anyone.
    @param digest That is asked for.
    @param answer That it gives; zero makes the question fail.
    """
    self.answers[digest] = answer


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1_024]) -> bytes32:
    """
    @notice Say whether a digest is signed. Protects: nothing.
    @param digest That should be signed.
    @param signature Not looked at.
    @return The answer set before.
    """
    assert self.answers[digest] != empty(bytes32), "erc1271_wallet: does not say"
    return self.answers[digest]
