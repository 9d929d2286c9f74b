"""What savers do, how losses come about, and how a pool is priced: by the specification, not the model."""

from __future__ import annotations

from offchain.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.protocol import PRICES, Protocol

POOL = "Savings"
# The type whose vaults default: what savers get is drawn against WETH.
XAU = 2


def give(protocol: Protocol, who: str, assets: int) -> None:
    """Give somebody stablecoin, however long ago the last price was."""
    if protocol.read("PriceFeed.risk_price", protocol.type_of("WETH")) == 0:
        protocol.post_price("WETH", PRICES["WETH"])
    protocol.give_stablecoin(who, assets)


def save(protocol: Protocol, who: str, assets: int, pool: str = POOL) -> int:
    """Give somebody stablecoin and have it deposited; the shares."""
    give(protocol, who, assets)
    protocol.do("Stablecoin.approve", pool, MAX_UINT256, sender=who)
    return int(protocol.do(f"{pool}.deposit", assets, who, sender=who))


def lose(protocol: Protocol, symbol: str = "XAU", debt: int = 10_000 * WAD) -> int:
    """A new vault's collateral becomes worthless, within hours; how much its type's deficit grew, rad."""
    c = protocol.type_of(symbol)
    auction = next(each.auction for each in protocol.parameters.collateral_types if each.symbol == symbol)
    before = int(protocol.read("VaultEngine.deficit_of", c))
    protocol.post_price(symbol, PRICES[symbol])
    defaulter = f"defaulter_{protocol.timestamp}"
    protocol.borrow(defaulter, symbol, 2 * debt * RAY // PRICES[symbol], debt)
    protocol.post_price(symbol, PRICES[symbol] // 10_000)
    opened = protocol.do("LiquidationEngine.liquidate", c, defaulter, "liquidator", sender="liquidator")
    end = protocol.timestamp + auction.tail
    # A close needs a fresh price, and the time-weighted one has to follow.
    while protocol.timestamp <= end:
        protocol.post_price(symbol, PRICES[symbol] // 10_000)
    protocol.do("CollateralAuction.close", opened, sender="stranger")
    return int(protocol.read("VaultEngine.deficit_of", c)) - before


def fill(protocol: Protocol, symbol: str = "XAU") -> None:
    """A year of a high fee: thousands in the type's buffer, and as much in the reserve."""
    protocol.do("VaultEngine.set_stability_fee", protocol.type_of(symbol), 10**19, sender="admin")
    protocol.earn_fees(symbol)


def request(protocol: Protocol, who: str, pool: str = POOL) -> int:
    """Ask for everything; the shares."""
    shares = int(protocol.read(f"{pool}.balanceOf", who))
    protocol.do(f"{pool}.request_redeem", shares, sender=who)
    return shares


def mature(protocol: Protocol) -> None:
    """Let the cooldown pass."""
    protocol.advance(protocol.parameters.savings.cooldown)


def leave(protocol: Protocol, who: str, pool: str = POOL) -> int:
    """Redeem all that may leave; the assets."""
    shares = protocol.read(f"{pool}.maxRedeem", who)
    return int(protocol.do(f"{pool}.redeem", shares, who, who, sender=who))


def entry(protocol: Protocol, assets: int, pool: str = POOL) -> int:
    """floor(a * (S + 1e6) / (A + 1))"""
    supply, booked = protocol.read(f"{pool}.totalSupply"), protocol.read(f"{pool}.totalAssets")
    return int(assets * (supply + 10**6) // (booked + 1))


def exit(protocol: Protocol, shares: int, pool: str = POOL) -> int:
    """floor(s * (A - UL + 1) / (S + 1e6))"""
    supply, booked = protocol.read(f"{pool}.totalSupply"), protocol.read(f"{pool}.totalAssets")
    return int(shares * (booked - losses(protocol, pool) + 1) // (supply + 10**6))


def losses(protocol: Protocol, pool: str = POOL) -> int:
    """UL by hand, for a pool behind the buffers and the reserve, both without caps; wad, rounded up."""
    beyond = 0
    for c in range(protocol.read("VaultEngine.collateral_types")):
        deficit, buffer = (
            protocol.read("VaultEngine.deficit_of", c),
            protocol.read("VaultEngine.buffer_of", c),
        )
        beyond += max(0, deficit - buffer)
    beyond = max(0, beyond - protocol.read("VaultEngine.reserve"))
    return int(min(protocol.read(f"{pool}.totalAssets"), -(-beyond // RAY)))
