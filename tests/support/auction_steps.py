"""How auctions come about in the tests: a vault of 10 WETH and 12,000 of debt, and a fall to 1,500."""

from __future__ import annotations

from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import LocalProtocol

WETH, WBTC, XAU = 0, 1, 2
NOBODY = "0x" + "00" * 20
ALL = 2**256 - 1
# Of a linear auction, for `list_token`.
TERMS = (0, 14_400, RAY // 2, 14_400, 4_000, 12_000, 11_300, 0, 0)


def liquidate_vault(protocol: LocalProtocol, who: str = "borrower", collateral_type: int = WETH) -> int:
    """Liquidate a vault for `liquidator`; the auction's id."""
    return int(
        protocol.do("LiquidationEngine.liquidate", collateral_type, who, "liquidator", sender="liquidator")
    )


def start_auction(protocol: LocalProtocol, who: str = "borrower", price: int = 1_500) -> int:
    """A vault of 10 WETH owes a little over 12,000 and is liquidated at `price`; the auction's id."""
    if protocol.get_or_renew_risk_price("WETH") != 2_000 * RAY:
        protocol.post_price("WETH", 2_000 * RAY)
    protocol.borrow(who, "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", price * RAY)
    return liquidate_vault(protocol, who)


def take_collateral(
    protocol: LocalProtocol,
    auction_id: int,
    amount: int = ALL,
    max_price: int = ALL,
    receiver: str = "taker",
) -> None:
    """Take as `taker`, without a callback."""
    protocol.do("CollateralAuction.take", auction_id, amount, max_price, receiver, b"", sender="taker")


def get_only_event_values(protocol: LocalProtocol, name: str, contract: str = "CollateralAuction") -> tuple:
    """The values of the only event of a name in the last call."""
    (found,) = [log.values for log in protocol.last.logs if (log.contract, log.event) == (contract, name)]
    return found


def read_stablecoins(protocol: LocalProtocol, who: str) -> int:
    """Wad."""
    return int(protocol.read("Stablecoin.balanceOf", who))


def list_token(
    protocol: LocalProtocol, symbol: str, decimals: int, price: int, terms: tuple | None = None
) -> int:
    """List one more collateral type with the ratios and limits of WETH; its id. It lends if it has terms."""
    weth = protocol.parameters.collateral_types[WETH]
    protocol.deploy_token("Token", symbol, symbol, decimals)
    protocol.do(f"{symbol}.mint", "admin", 10**decimals, sender="admin")
    protocol.do(f"{symbol}.approve", "VaultEngine", 10**decimals, sender="admin")
    c = int(protocol.do("VaultEngine.add_collateral_type", symbol, 14_500, 15_000, sender="admin"))
    protocol.do("VaultEngine.set_debt_floor", c, weth.debt_floor, sender="admin")
    protocol.do("VaultEngine.set_auction_limit", c, weth.auction_limit, sender="admin")
    if terms is not None:
        protocol.do("CollateralAuction.add_terms", c, *terms, sender="admin")
        protocol.do("VaultEngine.set_debt_ceiling", c, weth.debt_ceiling, sender="admin")
    reporters = tuple(f"reporter_{i + 1}" for i in range(3))
    protocol.do("PriceFeed.set_market", c, reporters, 3, 3_600, 7_200, 14_400, 3_600, sender="admin")
    report_price(protocol, c, price)
    return c


def report_price(protocol: LocalProtocol, collateral_type: int, price: int) -> None:
    """Report a type's next price [ray] from the three reporters, once the feed may step."""
    if protocol.read("PriceFeed.prices_of", collateral_type).current:
        protocol.advance(3_600)
    for i in range(3):
        protocol.do("PriceFeed.report", collateral_type, price, sender=f"reporter_{i + 1}")
    protocol.do("PriceFeed.poke", collateral_type, sender="stranger")
