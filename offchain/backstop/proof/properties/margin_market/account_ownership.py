"""Properties of several accounts of one address in the margin market: their owner; each is alone."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.evm_crypto import keccak256, recover_signer_or_none
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.margin_orders import Order
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    MARKET,
    MARKETS,
    ORDERS,
    TRADING,
    get_withdrawing_account,
    has_margin_market,
    list_event_values,
)
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.margin_market.margin_what_if_properties import (
    COUNTER,
    TWIN,
    jump_mark,
    open_funded_what_if_market,
)
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    counterfactual_property,
    transition_property,
)
from backstop.proof.properties.what_if_steps_and_state_readings import VISITOR, apply_or_raise

_DOMAIN = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ORDER = (
    b"Order(address account,uint256 market,int256 size,uint256 price,uint256 expiry,uint256 nonce,"
    b"bool reduceOnly)"
)
_IDLE, _STRANGER = "idle", "stranger"
_ACTS = [
    f"{TRADING}.take",
    f"{TRADING}.liquidate",
    f"{ORDERS}.fill",
    f"{ORDERS}.cancel",
    f"{ORDERS}.raise_nonce",
]


class _FinalBalances(NamedTuple):
    """Final balances of a margin account: equity, cash, deposits [wei] and lots by market.

    The equity is after haircuts and includes bonds.
    """

    wealth: int
    cash: int
    brought: int
    sizes: tuple[int, ...]


@transition_property(130, calls=[f"{MARKET}.withdraw", *_ACTS], writes=["filled", "nonce_floor"])
def only_matching_address_controls_account(step: Transition, changes: Changes) -> None:
    """Check that only an account's own address acts for it in the margin market (property 130).

    Acting means to withdraw, take over lots, cancel or sign orders, and raise the nonce floor. An address
    owns the accounts that equal it in the first 19 bytes. A contract's account belongs to the contract alone.
    Filled amounts and nonce floors change only for the named accounts. Raises PropertyViolationError
    otherwise.
    """
    if not has_margin_market(step):
        return
    contract, method, args, sender = step.action
    orders, account = set[bytes](), None
    if step.is_call(ORDERS, "fill"):
        for order, signature in zip(args[0:3:2], args[1:4:2], strict=True):
            orders.add(_verify_signature_and_hash_order(step, Order(*order), signature))
    elif step.is_call(MARKET, "withdraw"):
        account = get_withdrawing_account(step.action)
    elif step.is_call(TRADING, "take"):
        account = list_event_values(step, "Taken", contract=TRADING)[0][0]
    elif step.is_call(TRADING, "liquidate"):
        account = list_event_values(step, "Liquidated", contract=TRADING)[0][1]
    elif step.is_call(ORDERS, "cancel"):
        account = Order(*args[0]).account
        orders.add(compute_order_digest(step, Order(*args[0])))
    elif step.is_call(ORDERS, "raise_nonce"):
        account = args[1] if len(args) > 1 else sender
    if account is not None and not is_address_or_its_subaccount(step, account, sender):
        raise PropertyViolationError(f"{sender} called {contract}.{method} for {account}")
    filled = {each.key for each in changes.get("filled", ()) if each.contract == ORDERS}
    floors = {each.key for each in changes.get("nonce_floor", ()) if each.contract == ORDERS}
    if filled - orders or floors - ({account} if method == "raise_nonce" else set()):
        raise PropertyViolationError(
            f"{contract}.{method} of {account} changed orders {filled} and floors {floors}"
        )


def is_address_or_its_subaccount(step: Transition, account: str, address: str) -> bool:
    """Return whether `address` may act for `account`: both equal, or equal in the first 19 bytes.

    A contract's account matches only the contract itself.
    """
    if account == address:
        return True
    return int(account, 16) // 256 == int(address, 16) // 256 and account not in step.model.world.addresses


def _verify_signature_and_hash_order(step: Transition, order: Order, signature: bytes) -> bytes:
    """Return the order's EIP-712 digest, after checking its signature.

    Raises PropertyViolationError if the signer is no owner of the account. Signatures of contracts are not
    checked.
    """
    digest = compute_order_digest(step, order)
    if order.account not in step.model.world.addresses:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        signer = recover_signer_or_none(digest, signature[64], r, s)
        if signer is None or not is_address_or_its_subaccount(step, order.account, signer):
            raise PropertyViolationError(f"{signer} has signed for {order.account}")
    return digest


def compute_order_digest(step: Transition, order: Order) -> bytes:
    """Return the EIP-712 digest of a margin market order."""
    at, chain = int(step.get_contract(ORDERS).address, 16), step.model.world.chain_id
    domain = (_hash_to_int(_DOMAIN), _hash_to_int(b"Backstop Margin"), _hash_to_int(b"1"), chain, at)
    account, *others = order
    content = (_hash_to_int(_ORDER), int(account, 16), *(int(each) % 2**256 for each in others))
    return keccak256(b"\x19\x01" + keccak256(_encode_words(domain)) + keccak256(_encode_words(content)))


def _hash_to_int(text: bytes) -> int:
    return int.from_bytes(keccak256(text), "big")


def _encode_words(values: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


@counterfactual_property(131)
def account_failure_changes_no_other_account(lockstep: LockstepLike, random: Random) -> bool:
    """Check that an account's failure affects no sibling account of the same address (property 131).

    The trial bankrupts a sub-account of an address and, in a second fork, a stranger's account. All other
    accounts must end equal to the wei. Returns False if the trial cannot be played. Raises
    PropertyViolationError if an account differs.
    """
    beside, number = random.choice((_IDLE, TWIN, COUNTER)), random.randrange(1, 256)
    ends, seed = list[dict[str, _FinalBalances]](), random.random()
    for fails in (f"{beside}#{number}", _STRANGER):
        with lockstep.fork_state():
            left = _bankrupt_trader_and_read_other_balances(
                lockstep, Random(seed), get_trader_account(fails), fails
            )
        if left is None:
            return False
        ends.append(left)
    if ends[0] != ends[1]:
        wrong = {who: [end.get(who) for end in ends] for who in ends[0] if ends[0][who] != ends[1].get(who)}
        raise PropertyViolationError(
            f"an account beside that of {beside} failed, or a stranger's: then some have {wrong}"
        )
    return True


def _bankrupt_trader_and_read_other_balances(
    lockstep: LockstepLike, random: Random, trader_address: str, trader_name: str
) -> dict[str, _FinalBalances] | None:
    """Open a position, move the mark against it, and return all other accounts' final balances.

    Returns None if the market does not allow the trial.
    """
    stage = open_funded_what_if_market(lockstep, random)
    if stage is None:
        return None
    for each in (_IDLE, trader_name):
        apply_or_raise(
            lockstep,
            MARKET,
            "deposit",
            get_trader_account(each),
            max(1, stage.lots * stage.price // 4),
            by=VISITOR,
        )
    side = random.choice((1, -1))
    if not stage.fill_order(TWIN, COUNTER, side * max(1, stage.lots // 3)):
        return None
    lots = stage.lots
    while lots and not stage.fill_order(trader_name, COUNTER, side * lots):
        lots //= 2
    if not lots or not jump_mark(stage, random, side):
        return None
    for roll in range(3):
        # It comes last, whatever its address.
        if not stage.seize_insolvent_until_stable(
            lambda everyone: sorted(everyone, key=lambda each: (each == trader_address, each))
        ):
            return None
        if roll < 2:
            stage.roll_cycle()
            stage.refresh_marks()
    found = {}
    for owner in sorted(stage.market.accounts.keys() - {trader_address}):
        apply_or_raise(lockstep, MARKET, "update_account", owner, by=VISITOR)
        sizes = tuple(int(stage.market.positions[owner, m].size) for m in MARKETS)
        cash, brought = int(stage.market.accounts[owner].cash), int(stage.market.deposits[owner])
        found[owner] = _FinalBalances(stage.compute_equity_with_bonds(owner), cash, brought, sizes)
    return found
