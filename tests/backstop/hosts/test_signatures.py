"""The libraries that hash and recover for the model do what its own integers do."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from backstop.deployment.devnet_signing import derive_trader_key, sign_digest
from backstop.hosts.native_crypto import use_native_crypto
from backstop.model import signatures
from backstop.model.signatures import ORDER, PLAIN, Arithmetic, plain_ecrecover, plain_keccak256

FIELD = 2**256 - 2**32 - 977


@pytest.fixture
def library() -> Iterator[Arithmetic]:
    """What a process uses once a model has been set up in it."""
    use_native_crypto.__wrapped__()
    yield signatures._in_use
    use_native_crypto.__wrapped__()


def test_a_checkout_has_the_libraries(library: Arithmetic) -> None:
    assert library is not PLAIN


@pytest.mark.parametrize("length", [0, 1, 32, 135, 136, 137, 272, 1_000])
def test_hashes_are_the_same(library: Arithmetic, length: int) -> None:
    data = Random(length).randbytes(length)
    assert library.keccak256(data) == plain_keccak256(data)


@pytest.mark.parametrize("seed", range(12))
def test_signers_are_the_same(library: Arithmetic, seed: int) -> None:
    """Of what somebody signed, of either half, and of what nobody did."""
    digest = Random(seed).randbytes(32)
    signature = sign_digest(derive_trader_key(str(seed)), digest, low=seed % 2 == 0)
    r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    assert plain_ecrecover(digest, v, r, s) is not None
    for each in ((v, r, s), (55 - v, r, s), (v, r, ORDER - s), (v, r + 1, s), (v, s, r), (v, r + seed, 1)):
        assert library.ecrecover(digest, *each) == plain_ecrecover(digest, *each)


@pytest.mark.parametrize("v", [0, 1, 26, 27, 28, 29, 30, 31, 255])
def test_what_the_precompile_refuses_nobody_signed(library: Arithmetic, v: int) -> None:
    edges = (0, 1, ORDER - 1, ORDER, FIELD, 2**256 - 1)
    for r in edges:
        for s in edges:
            assert library.ecrecover(bytes(32), v, r, s) == plain_ecrecover(bytes(32), v, r, s)


def test_the_model_stays_alone_without_them() -> None:
    """Its own arithmetic is what is used until somebody sets up a host."""
    signatures.replace(PLAIN)
    try:
        assert signatures.keccak256.__wrapped__(b"alone") == plain_keccak256(b"alone")
    finally:
        use_native_crypto.__wrapped__()
