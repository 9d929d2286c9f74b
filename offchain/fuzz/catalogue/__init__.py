"""All moves; importing this package registers them."""

from offchain.fuzz.catalogue import (
    administration,
    auctions,
    claims,
    corners,
    domains,
    equity,
    guards,
    losses,
    policy,
    prices,
    reserved,
    savings,
    tokens,
    vaults,
    winding_up,
    workouts,
)

__all__ = [
    "administration",
    "auctions",
    "claims",
    "corners",
    "domains",
    "equity",
    "guards",
    "losses",
    "policy",
    "prices",
    "reserved",
    "savings",
    "tokens",
    "vaults",
    "winding_up",
    "workouts",
]
