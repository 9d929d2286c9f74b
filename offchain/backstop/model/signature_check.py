"""Check of an account's signature, by key or by contract; see contracts/modules/signature_check.vy.

A key signs for every account of its address, a contract for its own alone.
"""

from __future__ import annotations

from typing import Any, cast

from backstop.contract_base import Contract
from backstop.evm_crypto import ORDER, recover_signer_or_none
from backstop.model.account_owner import is_own_or_subaccount

# What `isValidSignature` answers.
IS_VALID = bytes.fromhex("1626ba7e") + bytes(28)


def is_signed(asks: Contract, account: str, digest: bytes, signature: bytes) -> bool:
    """Return True if an account has signed a digest, with its key or as a contract (ERC-1271).

    A key's signature has 65 bytes. `asks` is the contract that verifies the signature.
    """
    if len(signature) == 65:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        # Of the two signatures of a key that sign the same, the one with the lower half counts.
        signer = recover_signer_or_none(digest, signature[64], r, s) if s <= ORDER // 2 else None
        if signer is not None and is_own_or_subaccount(asks.world, account, signer):
            return True
    wallet = cast(Any, asks.world.addresses.get(account))
    if wallet is None:
        return False
    answer = asks.world.call_or_return_none(lambda: wallet.isValidSignature(asks.address, digest, signature))
    return answer is not None and bytes(answer).ljust(32, b"\0") == IS_VALID
