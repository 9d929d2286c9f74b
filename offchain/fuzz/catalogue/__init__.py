"""All moves; importing this package registers them."""

from offchain.fuzz.catalogue import (
    administration,
    auctions,
    corners,
    losses,
    prices,
    reserved,
    savings,
    tokens,
    vaults,
)

__all__ = [
    "administration",
    "auctions",
    "corners",
    "losses",
    "prices",
    "reserved",
    "savings",
    "tokens",
    "vaults",
]
