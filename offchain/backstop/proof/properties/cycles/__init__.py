"""Properties of the margin market."""

from backstop.proof.properties.cycles import (
    books,
    cash,
    clawbacks,
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
    "clawbacks",
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
