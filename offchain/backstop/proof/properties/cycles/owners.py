"""Properties of several accounts of one address in the margin market: whose they are; each is alone."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from backstop.deployment.devnet_signing import get_trader_account
from backstop.model.margin_orders import Order
from backstop.model.signatures import ecrecover, keccak256
from backstop.proof.properties.both import Both
from backstop.proof.properties.cycles.futures import COUNTER, TWIN, leap, open_stage
from backstop.proof.properties.figures.cycles import DESK, MARKET, MARKETS, ORDERS, leaver_of, there, told
from backstop.proof.properties.future import VISITOR, must
from backstop.proof.properties.registry import Violation, counterfactual_property, transition_property
from backstop.proof.properties.transition import Changes, Transition

_DOMAIN = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ORDER = (
    b"Order(address account,uint256 market,int256 size,uint256 price,uint256 expiry,uint256 nonce,"
    b"bool reduceOnly)"
)
_IDLE, _STRANGER = "idle", "stranger"
_ACTS = [f"{DESK}.take", f"{DESK}.liquidate", f"{ORDERS}.fill", f"{ORDERS}.cancel", f"{ORDERS}.raise_nonce"]


class _Left(NamedTuple):
    """What an account has in the end: less haircuts, in cash, as deposits [wei], and in lots of markets."""

    wealth: int
    cash: int
    brought: int
    sizes: tuple[int, ...]


@transition_property(130, calls=[f"{MARKET}.withdraw", *_ACTS], writes=["filled", "nonce_floor"])
def nobody_acts_for_an_account_of_another(step: Transition, changes: Changes) -> None:
    """Assert that who takes out, takes over, cancels, raises a floor or has signed has the account's address.

    It is the account's own, or has the same 19 bytes before the last one. An account of a contract is its own
    alone, and signs by what it answers. Fills and floors change of accounts that are named, and no others.
    """
    if not there(step):
        return
    contract, method, args, sender = step.action
    orders, account = set[bytes](), None
    if step.calls(ORDERS, "fill"):
        for order, signature in zip(args[0:3:2], args[1:4:2], strict=True):
            orders.add(_check_signed(step, Order(*order), signature))
    elif step.calls(MARKET, "withdraw"):
        account = leaver_of(step.action)
    elif step.calls(DESK, "take"):
        account = told(step, "Taken", contract=DESK)[0][0]
    elif step.calls(DESK, "liquidate"):
        account = told(step, "Liquidated", contract=DESK)[0][1]
    elif step.calls(ORDERS, "cancel"):
        account = Order(*args[0]).account
        orders.add(digest_of(step, Order(*args[0])))
    elif step.calls(ORDERS, "raise_nonce"):
        account = args[1] if len(args) > 1 else sender
    if account is not None and not is_ones_own(step, account, sender):
        raise Violation(f"{sender} called {contract}.{method} for {account}")
    filled = {each.key for each in changes.get("filled", ()) if each.contract == ORDERS}
    floors = {each.key for each in changes.get("nonce_floor", ()) if each.contract == ORDERS}
    if filled - orders or floors - ({account} if method == "raise_nonce" else set()):
        raise Violation(f"{contract}.{method} of {account} changed orders {filled} and floors {floors}")


def is_ones_own(step: Transition, account: str, who: str) -> bool:
    """Return whether somebody may act for an account, by its number alone."""
    if account == who:
        return True
    return int(account, 16) // 256 == int(who, 16) // 256 and account not in step.model.world.addresses


def _check_signed(step: Transition, order: Order, signature: bytes) -> bytes:
    """Assert that a key of the account's address has signed an order, unless it is a contract; its hash."""
    digest = digest_of(step, order)
    if order.account not in step.model.world.addresses:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        signer = ecrecover(digest, signature[64], r, s)
        if signer is None or not is_ones_own(step, order.account, signer):
            raise Violation(f"{signer} has signed for {order.account}")
    return digest


def digest_of(step: Transition, order: Order) -> bytes:
    """Return the hash of an order as EIP-712 has it."""
    at, chain = int(step.contract(ORDERS).address, 16), step.model.world.chain_id
    domain = (_hash(_DOMAIN), _hash(b"Backstop Margin"), _hash(b"1"), chain, at)
    account, *others = order
    content = (_hash(_ORDER), int(account, 16), *(int(each) % 2**256 for each in others))
    return keccak256(b"\x19\x01" + keccak256(_words(domain)) + keccak256(_words(content)))


def _hash(text: bytes) -> int:
    return int.from_bytes(keccak256(text), "big")


def _words(values: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


@counterfactual_property(131)
def whose_account_fails_is_nothing_to_others(both: Both, random: Random) -> bool:
    """Assert that all others end alike to the wei, whether who fails is a stranger or an account of theirs.

    Its address has an account that is idle, or one with a position, or the one on the other side.
    """
    beside, number = random.choice((_IDLE, TWIN, COUNTER)), random.randrange(1, 256)
    ends, seed = list[dict[str, _Left]](), random.random()
    for fails in (f"{beside}#{number}", _STRANGER):
        with both.fork_state():
            left = _fail(both, Random(seed), get_trader_account(fails), fails)
        if left is None:
            return False
        ends.append(left)
    if ends[0] != ends[1]:
        wrong = {who: [end.get(who) for end in ends] for who in ends[0] if ends[0][who] != ends[1].get(who)}
        raise Violation(f"an account beside that of {beside} failed, or a stranger's: then some have {wrong}")
    return True


def _fail(both: Both, random: Random, account: str, name: str) -> dict[str, _Left] | None:
    """Have an account take a position and the mark leap against it, until all is final; what others have."""
    stage = open_stage(both, random)
    if stage is None:
        return None
    for each in (_IDLE, name):
        must(
            both,
            MARKET,
            "deposit",
            get_trader_account(each),
            max(1, stage.lots * stage.price // 4),
            by=VISITOR,
        )
    side = random.choice((1, -1))
    if not stage.fill(TWIN, COUNTER, side * max(1, stage.lots // 3)):
        return None
    lots = stage.lots
    while lots and not stage.fill(name, COUNTER, side * lots):
        lots //= 2
    if not lots or not leap(stage, random, side):
        return None
    for roll in range(3):
        # It comes last, whatever its address.
        if not stage.meet_all(lambda everyone: sorted(everyone, key=lambda each: (each == account, each))):
            return None
        if roll < 2:
            stage.roll()
            stage.refresh()
    found = {}
    for owner in sorted(stage.market.accounts.keys() - {account}):
        must(both, MARKET, "wake", owner, by=VISITOR)
        sizes = tuple(int(stage.market.positions[owner, m].size) for m in MARKETS)
        cash, brought = int(stage.market.accounts[owner].cash), int(stage.market.deposits[owner])
        found[owner] = _Left(stage.wealth_of(owner), cash, brought, sizes)
    return found
