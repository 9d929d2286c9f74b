"""Properties of the margin market."""

from backstop.proof.properties.cycles import (
    books,
    cash,
    closings,
    funding,
    futures,
    insured,
    marks,
    owners,
    pool,
    pool_futures,
    profits,
    rebuilt,
    refusals,
    shares,
    trades,
)

__all__ = [
    "books",
    "cash",
    "closings",
    "funding",
    "futures",
    "insured",
    "marks",
    "owners",
    "pool",
    "pool_futures",
    "profits",
    "rebuilt",
    "refusals",
    "shares",
    "trades",
]
