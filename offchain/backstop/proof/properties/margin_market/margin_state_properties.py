"""Properties of a state of the margin market: its balances, and the bounds of its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from backstop.proof.properties.independent_arithmetic.margin_figures import (
    ACCOUNTS,
    BONDS,
    FEES,
    FUNDINGS,
    HELD,
    LATE,
    LEVELS,
    LOSSES,
    LOTS,
    MARKET,
    MOVES,
    PATHS,
    PENDINGS,
    POSITIONS,
    POT,
    TOTALS,
    VALUES,
    WORTHS,
)
from backstop.proof.properties.property_registry import PropertyViolationError, state_property
from backstop.system import Snapshot

_MOST_LOTS, _MOST_CASH, _MOST_GAINS, _MOST_PRICE = 2**63 - 1, 2**137 - 1, 2**117 - 1, 2**93 - 1
_MOST_VALUE = 2**109 - 1
# A tenth of the highest price in eight hours, for as long as 32 bits count seconds.
_MOST_FUNDING = _MOST_PRICE // 10 * 2**32 // 28_800


@state_property(
    84, writes=[ACCOUNTS, POSITIONS, LOTS, VALUES, POT, FEES, BONDS, HELD, LATE, "erc20.balanceOf"]
)
def margin_claims_equal_market_holdings(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that the margin market's liabilities equal its holdings and late losses (property 84).

    The equation is cash + values of all lots + bonds + pot + fees == held + late, to the wei. Late losses are
    booked and unpaid. Each side has the lots of its accounts. The market holds all stablecoin that it has
    booked. Raises PropertyViolationError otherwise.
    """
    if MARKET not in snapshot:
        return
    market: Mapping[str, Mapping[Any, Any]] = snapshot[MARKET]
    longs: Counter[int] = Counter()
    shorts: Counter[int] = Counter()
    accounts = market[ACCOUNTS]
    for (owner, m), position in market[POSITIONS].items():
        longs[m] += max(0, position.size)
        shorts[m] += max(0, -position.size)
        if position.size and not accounts[owner].markets >> m & 1:
            raise PropertyViolationError(
                f"{owner} has {position.size} lots in market {m}, and no bit tells of it"
            )
    values = 0
    lots, worth = market[LOTS], market[VALUES]
    for m in {*longs, *shorts, *lots}:
        if tuple(lots.get(m, (0, 0))) != (longs[m], shorts[m]):
            raise PropertyViolationError(
                f"of market {m} {longs[m]} are long, {shorts[m]} short, noted is {lots.get(m)}"
            )
        long, short = worth.get(m, (0, 0))
        values += longs[m] * long - shorts[m] * short
    cash = sum(account.cash for account in accounts.values())
    bonds, fees, held, late = (market[path].get((), 0) for path in (BONDS, FEES, HELD, LATE))
    pot = sum(each.value for each in market[POT].values())
    if cash + values + bonds + pot + fees != held + late:
        raise PropertyViolationError(
            f"{cash} of cash, {values} of lots, {bonds} of bonds, {pot} in the pot and {fees} of fees, "
            f"but {held} held and {late} late"
        )
    balance = snapshot["Stablecoin"]["erc20.balanceOf"].get(addresses[MARKET], 0)
    if balance < held:
        raise PropertyViolationError(f"the market has booked {held} and holds {balance}")


@state_property(
    85,
    writes=[
        LOSSES,
        TOTALS,
        POSITIONS,
        LOTS,
        VALUES,
        ACCOUNTS,
        WORTHS,
        PENDINGS,
        PATHS,
        MOVES,
        LEVELS,
        FUNDINGS,
    ],
)
def side_losses_stay_within_gains(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that no side of a market bears more losses in a cycle than it gained (property 85).

    No stored figure exceeds the width that products rely on. The widths are in
    docs/reference/margin-market/bounds.md. Raises PropertyViolationError otherwise.
    """
    if MARKET not in snapshot:
        return
    market = snapshot[MARKET]
    totals = market[TOTALS]
    for key, losses in market[LOSSES].items():
        for side, loss in enumerate(losses):
            gained = totals[key][side] if key in totals else 0
            if not 0 <= loss <= gained:
                raise PropertyViolationError(
                    f"side {side} of market, cycle {key} gained {gained} and bears {loss}"
                )
    for path, field, most in _WIDTHS:
        for key, record in market[path].items():
            value = record if field is None else getattr(record, field)
            if abs(value) > most:
                raise PropertyViolationError(f"{path} of {key} is {value}, beyond {most}")


_WIDTHS: tuple[tuple[str, Any, int], ...] = (
    (POSITIONS, "size", _MOST_LOTS),
    (POSITIONS, "value", _MOST_CASH),
    (LOTS, "long", _MOST_LOTS),
    (LOTS, "short", _MOST_LOTS),
    (VALUES, "long", _MOST_VALUE),
    (VALUES, "short", _MOST_VALUE),
    (ACCOUNTS, "cash", _MOST_CASH),
    (WORTHS, "value", _MOST_CASH),
    (PENDINGS, "net", _MOST_CASH),
    (PENDINGS, "booked", 2 * _MOST_GAINS),
    (TOTALS, "long", _MOST_GAINS),
    (TOTALS, "short", _MOST_GAINS),
    (PATHS, "price", _MOST_PRICE),
    (PATHS, "extreme", _MOST_PRICE + _MOST_FUNDING),
    (LEVELS, "long", _MOST_VALUE),
    (LEVELS, "short", _MOST_VALUE),
    (FUNDINGS, "level", _MOST_FUNDING),
)
