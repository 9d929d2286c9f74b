"""A contract account with scripted answers about signatures. For tests."""

from __future__ import annotations

from backstop.contract_base import Contract, World, external, require, view


class Erc1271Wallet(Contract):
    """Contract account for tests, with scripted answers to ERC-1271 signature checks.

    Model of contracts/devnet/Erc1271Wallet.vy.
    """

    KIND = "Erc1271Wallet"

    def __init__(self, world: World, name: str, address: str) -> None:
        super().__init__(world, name, address)
        self.answers = self.table("answers", bytes(32))

    @external
    def answer(self, sender: str, digest: bytes, answer: bytes) -> None:
        """Set the answer that `isValidSignature` gives for a digest; 32 zero bytes make the call revert."""
        self.answers[digest] = answer

    @view
    def isValidSignature(self, sender: str, digest: bytes, signature: bytes) -> bytes:
        """Return the scripted answer for a digest, for any signature. Reverts if no answer is set."""
        require(self.answers[digest] != bytes(32), "erc1271_wallet: does not say")
        return bytes(self.answers[digest])
