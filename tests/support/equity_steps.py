"""Actions with equity in the tests: its price, losses that it covers, its buyers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import (
    EquityParameters,
    Parameters,
    PoolParameters,
    StageParameters,
)
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from backstop.proof.local_protocol import PRICES, LocalProtocol
from tests.support.saver_steps import deposit_savings, give_stablecoin

ALL = MAX_UINT256
WETH, XAU = 0, 2
# Floor 80 and top 240 at a price of 100.
SALE = EquityParameters(floor=8_000, buf=24_000, duration=36_000)


def build_equity_parameters(*stages: str, **changes: Any) -> Parameters:
    """Equity and a treasury, and these stages."""
    order = tuple(StageParameters(name) for name in stages)
    sale = replace(SALE, **changes)
    return replace(
        build_standard_parameters(),
        stages=order,
        equity=sale,
        savings=PoolParameters(income_share=2_500),
        cap_delay=30 * 86_400,
    )


def report_equity(protocol: LocalProtocol, price: int) -> None:
    """Report a price of equity as the next one, once the feed may step."""
    equity = protocol.parameters.equity
    assert equity is not None
    averages = protocol.lockstep.model.world.contracts["PriceFeed"].tables["averages"]
    stepped_at = averages[EQUITY_MARKET].stepped_at
    protocol.advance(max(0, stepped_at + equity.feed.step - protocol.timestamp))
    protocol.submit_reports(EQUITY_MARKET, price, equity.feed.reporters)
    protocol.do("PriceFeed.poke", EQUITY_MARKET, sender="stranger")


def hold_equity_price_until_average(protocol: LocalProtocol, price: int) -> None:
    """Make a price of equity the current one, and for so long that it is the average as well."""
    for _ in range(5):
        report_equity(protocol, price)


def post_prices_and_fund_people(
    protocol: LocalProtocol, equity_price: int | None = 100 * RAY
) -> LocalProtocol:
    """Post prices; fund a saver with 40,000, and a taker with stablecoin that every auction may spend."""
    for symbol, each in PRICES.items():
        protocol.post_price(symbol, each)
    deposit_savings(protocol, "saver", 40_000 * WAD)
    give_stablecoin(protocol, "taker", 100_000 * WAD)
    for name in ("MintAuction", "StakeAuction"):
        if name in protocol.lockstep.addresses:
            protocol.do("Stablecoin.approve", name, MAX_UINT256, sender="taker")
    if equity_price is not None:
        hold_equity_price_until_average(protocol, equity_price)
    return protocol


def read_equity(protocol: LocalProtocol, who: str) -> int:
    """Wad."""
    return int(protocol.read("Equity.balanceOf", who))


def call_waterfall_cover_once(protocol: LocalProtocol, collateral_type: int = XAU) -> int:
    """Cover a deficit; return the amount covered or reserved [rad]."""
    return int(protocol.do("LossWaterfall.cover", collateral_type, sender="stranger"))


def take_from_equity_auction(
    protocol: LocalProtocol,
    amount: int = ALL,
    max_price: int = ALL,
    receiver: str = "taker",
    *,
    collateral_type: int = XAU,
    auction: str = "MintAuction",
) -> None:
    """Take as `taker`, without a callback."""
    protocol.do(f"{auction}.take", collateral_type, amount, max_price, receiver, b"", sender="taker")


def read_last_call_events(protocol: LocalProtocol, event_name: str, contract: str) -> list[tuple]:
    """The values of the events of a name in the last call."""
    return [log.values for log in protocol.last.logs if (log.contract, log.event) == (contract, event_name)]


WEEK = 7 * 86_400


def next_epoch(protocol):
    protocol.advance(WEEK - protocol.timestamp % WEEK)
