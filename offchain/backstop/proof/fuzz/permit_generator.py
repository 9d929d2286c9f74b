"""Permits, right and wrong, signed fast: the accounts are those of every devnet, so one nonce will do."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.devnet_trader_signatures import test_key
from backstop.deployment.role_accounts import get_account
from backstop.evm_crypto import GENERATOR, ORDER, keccak256
from backstop.model.erc20 import ERC20, encode_words
from backstop.proof.fuzz.generation_context import GenerationContext
from backstop.system import Action

# The signature's nonce is 1, its point the generator: a signature costs one multiplication, and tells
# the key, which everybody knows anyway.
_R, _PARITY = GENERATOR[0], GENERATOR[1] & 1
_SIGNERS = ("borrower", "saver")
_PERMIT = keccak256(b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")


@cache
def _derive_key(role: str) -> int:
    return int.from_bytes(test_key(get_account(role)), "big")


@cache
def _compute_domain_separator(token: str, name: str, chain_id: int) -> bytes:
    domain = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    return keccak256(
        encode_words(keccak256(domain), keccak256(name.encode()), keccak256(b"1"), chain_id, token)
    )


def draw_permit(context: GenerationContext, token: str) -> Action:
    """Draw a `permit` call (approval by signature, EIP-2612) by a random sender; most fail.

    Nine of ten have expired, because the model takes 10 ms to check a signature. Of the others some have a
    wrong nonce, spender, owner, `v`, or the high `s` that tokens reject.
    """
    contract = cast(ERC20, context.world.contracts[token])
    role, spender = context.pick_item(_SIGNERS), context.pick_account()
    owner = get_account(role)
    amount = context.draw_near_limit(context.get_balance(token, owner))
    if context.draw_bool(0.9):
        args: tuple[Any, ...] = (owner, spender, amount, context.now - 1, 27, bytes(32), bytes(32))
        return Action(token, "permit", args, context.pick_account())

    deadline, nonce = context.now + context.pick_item((0, 3_600)), int(contract.permits[owner])
    kind = context.random.randrange(12)
    if kind == 0:
        nonce += 1
    if kind == 1:
        spender = ZERO_ADDRESS
    content = encode_words(_PERMIT, owner, spender, amount, nonce, deadline)
    domain = _compute_domain_separator(contract.address, contract.token_name, context.world.chain_id)
    z = int.from_bytes(keccak256(b"\x19\x01" + domain + keccak256(content)), "big")
    half = (z + _R * _derive_key(role)) % ORDER
    parity = _PARITY
    if (half > ORDER // 2) != (kind == 2):  # of the two that sign the same, kind 2 takes the refused one
        half, parity = ORDER - half, 1 - parity
    v = 29 if kind == 3 else 27 + parity
    if kind == 4:
        owner = context.pick_account()
    args = (owner, spender, amount, deadline, v, _R.to_bytes(32, "big"), half.to_bytes(32, "big"))
    return Action(token, "permit", args, context.pick_account())
