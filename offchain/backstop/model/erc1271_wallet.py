"""A contract account with scripted answers about signatures. For tests."""

from __future__ import annotations

from backstop.contract_base import Contract, World, external, require, view


class Erc1271Wallet(Contract):
    """See contracts/devnet/Erc1271Wallet.vy."""

    KIND = "Erc1271Wallet"

    def __init__(self, world: World, name: str, address: str) -> None:
        super().__init__(world, name, address)
        self.answers = self.table("answers", bytes(32))

    @external
    def answer(self, sender: str, digest: bytes, answer: bytes) -> None:
        """Set what it says of a digest; zero makes the question fail."""
        self.answers[digest] = answer

    @view
    def isValidSignature(self, sender: str, digest: bytes, signature: bytes) -> bytes:
        """Return the scripted answer for a digest."""
        require(self.answers[digest] != bytes(32), "erc1271_wallet: does not say")
        return bytes(self.answers[digest])
