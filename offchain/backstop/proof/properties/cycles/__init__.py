"""Properties of the margin market by cycles."""

from backstop.proof.properties.cycles import books, cash, funding, futures, marks, rebuilt, shares, trades

__all__ = ["books", "cash", "funding", "futures", "marks", "rebuilt", "shares", "trades"]
