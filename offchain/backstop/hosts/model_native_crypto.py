"""The model's hashes and signatures by the libraries that nodes use, where they are installed."""

from __future__ import annotations

from functools import cache

from backstop.evm_crypto import CryptoFunctions, replace_crypto_functions


@cache
def use_native_crypto() -> None:
    """Put libraries in the place of the model's own arithmetic, for this process; do nothing without them.

    libsecp256k1 recovers a signer in a fortieth of the time. A test holds both equal.
    """
    try:
        from coincurve import PublicKey
        from eth_hash.auto import keccak
    except ImportError:
        return

    def ecrecover(digest: bytes, v: int, r: int, s: int) -> str | None:
        if v not in (27, 28) or r.bit_length() > 256 or s.bit_length() > 256:
            return None
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([v - 27])
        try:
            signer = PublicKey.from_signature_and_message(signature, digest, hasher=None)
        except ValueError:
            return None
        return "0x" + keccak(signer.format(compressed=False)[1:])[12:].hex()

    replace_crypto_functions(CryptoFunctions(keccak, ecrecover))
