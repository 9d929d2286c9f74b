"""Accounts of several collaterals or debts, made into vaults of one collateral and one debt each.

An account's debt is split by what each collateral is worth, times its threshold where one is given: every
part is then as far from liquidation as the whole account. Parts add up to the debt, to the wei.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario.book_repairs import BookRow
from backstop.simulation.scenario.scenario_schema import Vault


@dataclass
class AccountPosition:
    """One row, read: what it locks and owes, in wad; prices in ray, the threshold in basis points."""

    number: int
    account: str
    symbol: str
    locked: int
    debt: int  # stablecoins
    price: int = 0  # 0: not given
    threshold: int = 0  # 0: not given
    decimals: int = 18  # of the collateral's token
    priced: bool = False  # its debt was in a token that is no dollar


@dataclass
class PooledAccounts:
    """What pooling came to: rows, and what was split or has nothing locked."""

    rows: list[BookRow] = field(default_factory=list)
    split: int = 0
    parts: int = 0
    bare: int = 0
    bare_debt: int = 0  # wad


def pool_accounts(
    positions: Iterable[AccountPosition], prices: Mapping[str, int], fail: Callable[[int, str], NoReturn]
) -> PooledAccounts:
    """Make each account's rows into vaults; `prices` (ray) stand in where rows have none.

    An account that locks nothing has no vault to be: it is counted and left out. `fail` takes a row and what
    is wrong with it.
    """
    accounts: dict[str, list[AccountPosition]] = {}
    for each in positions:
        accounts.setdefault(each.account, []).append(each)
    found = PooledAccounts()
    for account, rows in accounts.items():
        debt = sum(each.debt for each in rows)
        held = _sum_collateral(rows)
        if not held:
            if debt:
                found.bare, found.bare_debt = found.bare + 1, found.bare_debt + debt
            continue
        if len(held) == 1:
            parts = [debt]
        else:
            weights = [_compute_weight(each, prices, fail) for each in held] if debt else [1] * len(held)
            parts = _split_debt(debt, weights)
            found.split += 1
            found.parts += len(held)
        for each, part in zip(held, parts, strict=True):
            found.rows.append(BookRow(each.number, Vault(account, each.symbol, each.locked, part)))
    return found


def _sum_collateral(rows: Iterable[AccountPosition]) -> list[AccountPosition]:
    """Add up an account's collateral by symbol; a row of debt alone is none."""
    found: dict[str, AccountPosition] = {}
    for each in rows:
        if not each.locked:
            continue
        there = found.get(each.symbol)
        if there is None:
            found[each.symbol] = AccountPosition(**vars(each))
        else:
            there.locked += each.locked
    return list(found.values())


def _compute_weight(
    each: AccountPosition, prices: Mapping[str, int], fail: Callable[[int, str], NoReturn]
) -> int:
    price = each.price or prices.get(each.symbol, 0)
    if not price:
        fail(
            each.number,
            f"the account has several collaterals, and {each.symbol} has no price to split its debt by: "
            "map a column to `price`",
        )
    return each.locked * price * (each.threshold or BASIS_POINTS)


def _split_debt(debt: int, weights: list[int]) -> list[int]:
    """Split a debt by weights, rounded down; what is left goes to the largest."""
    whole = sum(weights)
    parts = [debt * weight // whole for weight in weights]
    parts[weights.index(max(weights))] += debt - sum(parts)
    return parts
