"""The libraries that hash and recover for the model agree with its own integer arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from backstop import evm_crypto
from backstop.deployment.devnet_trader_signatures import derive_trader_key, sign_digest
from backstop.evm_crypto import (
    ORDER,
    PLAIN,
    CryptoFunctions,
    plain_keccak256,
    recover_in_plain_integers,
)
from backstop.hosts.model_native_crypto import use_native_crypto

FIELD = 2**256 - 2**32 - 977


@pytest.fixture
def library() -> Iterator[CryptoFunctions]:
    """Yield the crypto functions that a process uses once a model has been set up in it."""
    use_native_crypto.__wrapped__()
    yield evm_crypto._in_use
    use_native_crypto.__wrapped__()


def test_a_checkout_has_the_libraries(library: CryptoFunctions) -> None:
    assert library is not PLAIN


@pytest.mark.parametrize("length", [0, 1, 32, 135, 136, 137, 272, 1_000])
def test_hashes_are_the_same(library: CryptoFunctions, length: int) -> None:
    data = Random(length).randbytes(length)
    assert library.keccak256(data) == plain_keccak256(data)


@pytest.mark.parametrize("seed", range(12))
def test_signers_are_the_same(library: CryptoFunctions, seed: int) -> None:
    """For valid signatures of either half, and for signatures that no key made."""
    digest = Random(seed).randbytes(32)
    signature = sign_digest(derive_trader_key(str(seed)), digest, low=seed % 2 == 0)
    r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    assert recover_in_plain_integers(digest, v, r, s) is not None
    for each in ((v, r, s), (55 - v, r, s), (v, r, ORDER - s), (v, r + 1, s), (v, s, r), (v, r + seed, 1)):
        assert library.ecrecover(digest, *each) == recover_in_plain_integers(digest, *each)


@pytest.mark.parametrize("v", [0, 1, 26, 27, 28, 29, 30, 31, 255])
def test_what_the_precompile_refuses_nobody_signed(library: CryptoFunctions, v: int) -> None:
    edges = (0, 1, ORDER - 1, ORDER, FIELD, 2**256 - 1)
    for r in edges:
        for s in edges:
            assert library.ecrecover(bytes(32), v, r, s) == recover_in_plain_integers(bytes(32), v, r, s)


def test_the_model_stays_alone_without_them() -> None:
    """The model uses its own arithmetic until a host is set up."""
    evm_crypto.replace_crypto_functions(PLAIN)
    try:
        assert evm_crypto.keccak256.__wrapped__(b"alone") == plain_keccak256(b"alone")
    finally:
        use_native_crypto.__wrapped__()
