"""A margin market in the tests: what it is deployed with, and what traders, liquidators and others do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from typing import Any

from backstop.deployment.examples import standard
from backstop.deployment.parameters import DomainParameters, MarginParameters, Parameters, PerpetualParameters
from backstop.deployment.signing import sign_order, trader
from backstop.hosts.host import CHAIN_ID
from backstop.keepers.deleveraging import in_order
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.interfaces import LAST
from backstop.model.margin_book import Interest, Position, Worth
from backstop.model.margin_orders import Order
from tests.support.auctions import stablecoins
from tests.support.margin_fund import DAY
from tests.support.protocol import PRICES, Protocol

ETH, BTC = 0, 1
"""The markets: a lot is a hundredth of an ether, a thousandth of a bitcoin."""
LINE = 50_000
PERPETUALS = DomainParameters("Perpetuals", LINE, 3_600, minter="nobody")
TERMS = PerpetualParameters("WETH", WAD // 100)
MARGIN = MarginParameters(
    (TERMS, replace(TERMS, symbol="WBTC", lot=WAD // 1_000)), domain="Perpetuals", cap=2_000
)


def with_margin(parameters: Parameters | None = None, **changes: Any) -> Parameters:
    """The standard deployment, or another one, with two perpetual markets and a domain for them."""
    base = parameters or standard()
    return replace(base, domains=(*base.domains, PERPETUALS), margin=replace(MARGIN, **changes))


def opened(new_protocol: Callable[..., Protocol], parameters: Parameters | None = None) -> Protocol:
    """A protocol with a margin market, the usual prices, and stablecoin in its traders' hands."""
    made = new_protocol(parameters or with_margin(), prices=True)
    made.give_stablecoin("rich", 1_000_000 * WAD)
    for contract in ("MarginMarket", "MarginFund"):
        made.do("Stablecoin.approve", contract, MAX_UINT256, sender="rich")
    return made


def terms(**changes: Any) -> tuple[Any, ...]:
    """A market's terms as the policy takes them."""
    return astuple(replace(TERMS, **changes))[2:]


def stage(protocol: Protocol, **deposits: int) -> Protocol:
    """Traders deposit whole stablecoins."""
    for name, amount in deposits.items():
        deposit(protocol, name, amount * WAD)
    return protocol


def crowded(new_protocol: Callable[..., Protocol], **changes: Any) -> Protocol:
    """The maker is long 1,000 lots with 3,000 of margin; three shorts, of very different leverage."""
    made = opened(new_protocol, with_margin(**changes))
    stage(made, maker=3_000, taker=1_500, third=40_000, fourth=1_500, liquidator=50_000)
    fill(made, "maker", "taker", 400)
    fill(made, "maker", "third", 500)
    fill(made, "maker", "fourth", 100)
    return made


def deposit(protocol: Protocol, name: str, amount: int) -> None:
    """Wad, into a trader's account."""
    protocol.do("MarginMarket.deposit", trader(name), amount, sender="rich")


def order(name: str, market: int, size: int, price: int, **more: Any) -> Order:
    """An order that never expires."""
    values = {"expiry": MAX_UINT256, "nonce": 0, "reduce_only": False} | more
    return Order(trader(name), market, size, price, **values)


def signed(protocol: Protocol, name: str, what: Order) -> tuple[Order, bytes]:
    """An order and its signature."""
    return what, sign_order(name, what, CHAIN_ID, protocol.address("MarginOrders"))


def fill(
    protocol: Protocol,
    maker: str,
    taker: str,
    lots: int,
    market: int = ETH,
    price: int | None = None,
    **more: Any,
) -> None:
    """The maker buys lots (or sells, under zero) of the taker, at a price or the last one."""
    at = price_of(protocol, market) if price is None else price
    nonce = next_nonce(protocol)
    one = signed(protocol, maker, order(maker, market, lots, at, nonce=nonce, **more))
    other = signed(protocol, taker, order(taker, market, -lots, at, nonce=nonce, **more))
    protocol.do("MarginOrders.fill", *one, *other, abs(lots), sender="matcher")


def next_nonce(protocol: Protocol) -> int:
    """Orders of one trace differ by the step that they are made in."""
    return protocol.lockstep.steps


def price_of(protocol: Protocol, market: int = ETH) -> int:
    """Wei a lot."""
    return int(protocol.read("MarginPolicy.price_of", market, LAST, True))


def move(protocol: Protocol, symbol: str, price: int) -> None:
    """Whole stablecoins, now and next; the other prices are fresh again."""
    for each, usual in PRICES.items():
        if each != symbol:
            protocol.post_price(each, protocol._prices(each).current or usual)
    protocol.post_price(symbol, price * RAY)


def cash(protocol: Protocol, name: str) -> int:
    """Wad."""
    return int(protocol.read("MarginMarket.account_of", trader(name)).cash)


def position(protocol: Protocol, name: str, market: int = ETH) -> Position:
    """Lots and their cost."""
    found: Position = protocol.read("MarginMarket.position_of", trader(name), market)
    return found


def interest(protocol: Protocol, market: int = ETH) -> Interest:
    """Who is in a market."""
    found: Interest = protocol.read("MarginMarket.interest_of", market)
    return found


def worth(protocol: Protocol, name: str, kind: int = LAST) -> Worth:
    """At prices of a kind."""
    found: Worth = protocol.read("MarginMarket.worth_of", trader(name), kind)
    return found


def wealth(protocol: Protocol, *names: str) -> int:
    """What a person has, wad: equity at the last prices, and of each trader's own what it holds and what
    of its profits has not been claimed.
    """
    week = protocol.parameters.margin.buckets if protocol.parameters.margin else 0
    now = protocol.timestamp // DAY
    found = sum(worth(protocol, name).equity + stablecoins(protocol, trader(name)) for name in names)
    for name in names:
        found += sum(protocol.read("MarginFund.profit_of", trader(name), now - i) for i in range(week + 1))
    return found


def liquidate(protocol: Protocol, name: str, lots: int, market: int = ETH, by: str = "liquidator") -> int:
    """Into an account of somebody who has deposited; the reward."""
    return int(protocol.do("MarginMarket.liquidate", trader(name), market, lots, sender=trader(by)))


def begin(protocol: Protocol, name: str, market: int = ETH) -> int:
    """The freeze's id."""
    return int(protocol.do("MarginDeleverager.begin", trader(name), market, sender="stranger"))


def kind_of(protocol: Protocol) -> str:
    """The contract that deleverages."""
    return protocol.lockstep.model.world.contracts["MarginDeleverager"].KIND


def ranking(protocol: Protocol, *names: str) -> list[str]:
    """Accounts as they rank."""
    found = {trader(name): protocol.read("MarginDeleverager.standing_of", trader(name)) for name in names}
    return in_order(kind_of(protocol), found)


def standing(protocol: Protocol, name: str) -> Any:
    """What ranks a trader in the freeze."""
    return protocol.read("MarginDeleverager.standing_of", trader(name))


def submit(protocol: Protocol, accounts: Sequence[str], by: str = "prover") -> None:
    """Go on with a ranking."""
    protocol.do("MarginDeleverager.submit", accounts, sender=by)


def prove(protocol: Protocol, *names: str, by: str = "prover") -> list[str]:
    """Submit the ranking of everybody on the other side; the accounts in it."""
    ranked = ranking(protocol, *names)
    protocol.do("MarginDeleverager.submit", ranked, sender=by)
    return ranked


def other_side(protocol: Protocol) -> list[str]:
    """All accounts on the other side of the freeze, as they rank."""
    accounts = protocol.lockstep.model.world.contracts["MarginMarket"].tables["margin_book.accounts"]
    found = {each: protocol.read("MarginDeleverager.standing_of", each) for each in accounts}
    return in_order(kind_of(protocol), {each: at for each, at in found.items() if at.lots})


def deleverage(protocol: Protocol, by: str = "prover") -> None:
    """Prove who is on the other side, and close and charge them."""
    protocol.do("MarginDeleverager.submit", other_side(protocol), sender=by)
    execute(protocol)


def execute(protocol: Protocol, count: int = 100) -> None:
    """Close and charge."""
    protocol.do("MarginDeleverager.execute", count, sender="stranger")


def books(protocol: Protocol, *names: str) -> int:
    """Cash of all accounts and fees, less what is held, and unpaid losses: always zero."""
    market = protocol.lockstep.model.world.contracts["MarginMarket"].tables
    owed = sum(account.cash for account in market["margin_book.accounts"].values())
    unpaid = sum(each.unpaid for each in market["margin_book.interests"].values())
    return int(owed + market["fees"][()] - market["held"][()] - unpaid)
