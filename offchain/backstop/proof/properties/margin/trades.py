"""The properties of trades in the margin market: what moves, at whose price, and what new risk needs."""

from __future__ import annotations

from backstop.model.margin_orders import Order
from backstop.model.signatures import ecrecover, keccak256
from backstop.proof.properties.figures.margin import (
    ACCOUNTS,
    FUNDING_INTERVAL,
    FUNDING_PERIOD,
    FUNDINGS,
    INTERESTS,
    MARKET,
    POSITIONS,
    add_on,
    frozen_market,
    last_price,
    most_premium,
    of_the_market,
    risk_price,
    side_of,
    traded,
    worth,
)
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_ORDERS = "MarginOrders"
_EMERGENCY = 2
_FIELDS = (
    ("account", "address"),
    ("market", "uint256"),
    ("size", "int256"),
    ("price", "uint256"),
    ("expiry", "uint256"),
    ("nonce", "uint256"),
    ("reduceOnly", "bool"),
)


@transition_property(50, calls=["MarginOrders.fill"])
def a_trade_moves_what_both_have_ordered(step: Transition, changes: Changes) -> None:
    """Assert that a fill moves lots and their price between two accounts, as both ordered, and nothing else.

    The price is that of the order that was signed first. Gains that it realises repay unpaid losses by the
    market's share, rounded down; off the last price, whom that pays in funding pays for an interval of it,
    rounded up, to the fees. By cycle the orders are looked at here, and what moves elsewhere.
    """
    if not step.calls(_ORDERS, "fill"):
        return
    maker, _, taker, _, lots = step.action.args
    maker, taker = Order(*maker), Order(*taker)
    _check_orders(step, maker, taker, lots)
    if MARKET not in step.model.world.contracts:
        return
    if step.after(MARKET, "closing_since"):
        raise Violation(f"{maker} met {taker} at final prices")
    m, price = maker.market, maker.price
    at = price - step.after(MARKET, FUNDINGS, m).level
    terms = step.after("MarginPolicy", "terms", m)
    unpaid = step.before(MARKET, INTERESTS, m).unpaid
    most = most_premium(step, m)
    over = max(-most, min(most, price - last_price(step, m)))
    charge = -(-abs(over) * lots * FUNDING_INTERVAL // FUNDING_PERIOD)
    expected = {}
    for order in (maker, taker):
        delta = lots if order.size > 0 else -lots
        side, gain = traded(side_of(step.before, order.account, m), delta, at)
        cut = min(unpaid, max(0, gain) * terms.haircut // 10_000)
        unpaid -= cut
        # A high price raises the funding that shorts get.
        paid = cut + (charge if over * delta < 0 else 0)
        expected[order.account] = side._replace(cash=side.cash - paid)
    found = {owner: side_of(step.after, owner, m) for owner in expected}
    if found != expected:
        raise Violation(f"{lots} lots at {price} made {found}, not {expected}")
    fees = step.after(MARKET, "fees") - step.before(MARKET, "fees")
    if step.after(MARKET, INTERESTS, m).unpaid != unpaid or fees != charge:
        raise Violation(f"a trade leaves {unpaid} unpaid and {fees} of fees, {charge} were charged")
    limit = max(
        step.before(MARKET, INTERESTS, m).open, step.after("MarginPolicy", "underlyings", m).open_limit
    )
    if step.after(MARKET, INTERESTS, m).open > limit:
        raise Violation(f"more than {limit} lots are open in market {m}")
    touched = {each.key for each in changes.get(ACCOUNTS, ())}
    touched |= {each.key[0] for each in changes.get(POSITIONS, ()) if each.key[1] == m}
    others = [each.key for each in changes.get(POSITIONS, ()) if each.key[1] != m]
    if not touched <= expected.keys() or others or "held" in changes:
        raise Violation(f"a trade of {list(expected)} in market {m} changed {touched}, {others}")


def _check_orders(step: Transition, maker: Order, taker: Order, lots: int) -> None:
    """Assert that both orders are good for so many lots at the maker's price."""
    buy, sell = (maker, taker) if maker.size > 0 else (taker, maker)
    if maker.account == taker.account or maker.market != taker.market or not buy.size > 0 > sell.size:
        raise Violation(f"{maker} was matched with {taker}")
    if not sell.price <= buy.price:
        raise Violation(f"{maker} met {taker}")
    same = maker.price == taker.price
    if maker.nonce > taker.nonce or (not same and maker.nonce == taker.nonce):
        raise Violation(f"{maker} was the maker of {taker}, who was first")
    if not same and taker.nonce >= (step.model.timestamp + 1) * 10**9:
        raise Violation(f"{taker} was filled, and signed later than now")
    filled = next(log for log in step.outcome.logs if log.event == "Filled")
    digests = filled.values[-2:]
    for order, digest in zip((maker, taker), digests, strict=True):
        was, now = step.before(_ORDERS, "filled", digest), step.after(_ORDERS, "filled", digest)
        if lots <= 0 or now != was + lots or now > abs(order.size):
            raise Violation(f"{was} and {lots} of {order} are filled, {now} counted")
        void = order.nonce < step.after(_ORDERS, "nonce_floor", order.account)
        if void or step.model.timestamp > order.expiry:
            raise Violation(f"{order} was filled, and is void or over")
    # Milliseconds each: one of the two, which it is nobody chooses.
    checked = (digests[0][0] ^ digests[1][0]) & 1
    order, signature = (maker, taker)[checked], step.action.args[1 + 2 * checked]
    r, s = (int.from_bytes(signature[i : i + 32], "big") for i in (0, 32))
    signer = ecrecover(digests[checked], signature[64], r, s)
    if digests[checked] != _digest(step, order) or signer != order.account:
        raise Violation(f"{signer} has signed for {order}")


def _digest(step: Transition, order: Order) -> bytes:
    """Return what a wallet signs for an order (EIP-712)."""
    from eth_account.messages import encode_typed_data  # on demand: most deployments have no traders

    domain = {
        "name": "Backstop Margin",
        "version": "1",
        "chainId": step.model.world.chain_id,
        "verifyingContract": step.model.world.contracts[_ORDERS].address,
    }
    fields = dict(zip((name for name, _ in _FIELDS), order, strict=True))
    typed = {"Order": [{"name": name, "type": kind} for name, kind in _FIELDS]}
    message = encode_typed_data(domain, typed, fields)
    return keccak256(b"\x19" + message.version + message.header + message.body)


@transition_property(51, calls=["MarginOrders.fill", "MarginMarket.liquidate", "MarginMarket.withdraw"])
def new_risk_has_its_margin(step: Transition, changes: Changes) -> None:
    """Assert that who takes risk, or cash out of it, then has its initial margin at the worse fresh price.

    That is no emergency, no settlement and no frozen market. Who only takes lots off stays solvent and, under
    the maintenance margin, gets no further under it than by a gain's cut.
    """
    method = step.action.contract, step.action.method
    if MARKET not in step.model.world.contracts:
        return
    if method == (_ORDERS, "fill"):
        maker, _, taker, _, lots = step.action.args
        for order in (Order(*maker), Order(*taker)):
            delta = lots if order.size > 0 else -lots
            price = maker[3]
            if _reduces(step, order.account, order.market, delta):
                _check_reduced(step, order.account, order.market, delta, price)
            elif order.reduce_only or frozen_market(step, step.before) == order.market:
                raise Violation(f"{order} was filled, and may only reduce")
            else:
                _check_calm(step)
                _check_initial(step, order.account)
    elif method == (MARKET, "liquidate"):
        owner, m, lots = step.action.args
        delta = lots if step.before(MARKET, POSITIONS, (owner, m)).size > 0 else -lots
        if _reduces(step, step.action.sender, m, delta):
            _check_reduced(step, step.action.sender, m, delta, last_price(step, m))
        else:
            _check_initial(step, step.action.sender)
    elif method == (MARKET, "withdraw") and step.before(MARKET, ACCOUNTS, step.action.sender).markets:
        _check_calm(step)
        _check_initial(step, step.action.sender)


def _reduces(step: Transition, owner: str, m: int, delta: int) -> bool:
    size = step.before(MARKET, POSITIONS, (owner, m)).size
    return bool(size * delta < 0 and abs(delta) <= abs(size))


def _check_calm(step: Transition) -> None:
    guarded = "RiskPolicy" in step.model.world.contracts
    mode = step.after("RiskPolicy", "modes").mode if guarded else 0
    if mode >= _EMERGENCY or step.after("Settlement", "progress").begun_at:
        raise Violation(f"new risk was taken in mode {mode}, or in settlement")


def _check_initial(step: Transition, owner: str) -> None:
    def price_of(m: int, size: int) -> int:
        price = risk_price(step, m, long=size > 0)
        if not price:
            raise Violation(f"{owner} took risk in market {m}, which has no price for it")
        return price

    found = worth(step, step.after, owner, price_of)
    needed = found.initial + of_the_market(step, step.after, owner, price_of)
    if found.equity * 10_000 < needed:
        raise Violation(f"{owner} has {found}, and needs {needed} for new risk")


def _check_reduced(step: Transition, owner: str, m: int, delta: int, price: int) -> None:
    found = worth(step, step.after, owner, lambda market, _: last_price(step, market))
    if found.equity < 0:
        raise Violation(f"{owner} took lots off and is insolvent: {found}")
    if found.equity * 10_000 >= found.maintenance:
        return
    last, terms = last_price(step, m), step.after("MarginPolicy", "terms", m)
    before, after = (
        abs(read(MARKET, POSITIONS, (owner, m)).size) * last for read in (step.before, step.after)
    )
    relieved = (before - after) * terms.maintenance
    relieved += add_on(terms[5:9], before) - add_on(terms[5:9], after)
    if delta * (last - price) * 10_000 + relieved < 0:
        raise Violation(f"{owner}, under its maintenance margin, sold lots at {price}, worth {last}")
