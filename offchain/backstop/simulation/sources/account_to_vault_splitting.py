"""Accounts of several collaterals or debts, made into vaults of one collateral and one debt asset each.

An account's debt is split by the worth of each collateral, times its threshold where one is given: every part
is then as far from liquidation as the whole account. Parts add up to the debt and to the collateral, to the
wei.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from backstop.model.arithmetic import BASIS_POINTS


@dataclass
class AccountPosition:
    """Position read from one row of a file: amounts in wad, price in ray, threshold in basis points."""

    number: int
    account: str
    symbol: str
    locked: int
    debt: int  # stablecoins
    price: int = 0  # 0: not given
    threshold: int = 0  # 0: not given
    decimals: int = 18  # of the collateral's token
    debt_asset: str = ""  # what the debt is of; "" is the stablecoin, or dollars


@dataclass
class PooledAccounts:
    """Positions of pooled accounts, with counts of split accounts and accounts without collateral."""

    positions: list[AccountPosition] = field(default_factory=list)
    split: int = 0
    split_debt: int = 0  # wad
    parts: int = 0
    bare: int = 0
    bare_debt: int = 0  # wad


def convert_accounts_to_vaults(
    positions: Iterable[AccountPosition], prices: Mapping[str, int], fail: Callable[[int, str], NoReturn]
) -> PooledAccounts:
    """Merge the rows of each account, and split it into positions of one collateral and one debt asset.

    `prices` [ray] apply where rows have none. An account without collateral is counted and left out. `fail`
    is called with the row and the problem of an account that cannot be split.
    """
    accounts: dict[str, list[AccountPosition]] = {}
    for each in positions:
        accounts.setdefault(each.account, []).append(each)
    found = PooledAccounts()
    for rows in accounts.values():
        debts: dict[str, int] = {}
        for each in rows:
            if each.debt:
                debts[each.debt_asset] = debts.get(each.debt_asset, 0) + each.debt
        debt, held = sum(debts.values()), _merge_positions_by_collateral_symbol(rows)
        if not held:
            if debt:
                found.bare, found.bare_debt = found.bare + 1, found.bare_debt + debt
            continue
        parts = list(_split_account(held, debts, prices, fail))
        if len(parts) > 1 and debt:
            found.split, found.split_debt = found.split + 1, found.split_debt + debt
            found.parts += len(parts)
        found.positions += parts
    return found


def _split_account(
    held: list[AccountPosition],
    debts: Mapping[str, int],
    prices: Mapping[str, int],
    fail: Callable[[int, str], NoReturn],
) -> Iterator[AccountPosition]:
    """Yield a position for each pair of collateral and debt asset of an account."""
    if not debts:
        yield from (replace(each, debt=0, debt_asset="") for each in held)
        return
    weights = [1] if len(held) == 1 else [_compute_debt_split_weight(each, prices, fail) for each in held]
    owed = {asset: _split_amount(debt, weights) for asset, debt in debts.items()}
    for i, each in enumerate(held):
        locked = _split_amount(each.locked, list(debts.values()))
        for asset, part in zip(debts, locked, strict=True):
            yield replace(each, locked=part, debt=owed[asset][i], debt_asset=asset)


def _merge_positions_by_collateral_symbol(rows: Iterable[AccountPosition]) -> list[AccountPosition]:
    """Sum an account's collateral by symbol; rows without collateral are left out."""
    found: dict[str, AccountPosition] = {}
    for each in rows:
        if not each.locked:
            continue
        there = found.get(each.symbol)
        if there is None:
            found[each.symbol] = replace(each)
        else:
            there.locked += each.locked
    return list(found.values())


def _compute_debt_split_weight(
    position: AccountPosition, prices: Mapping[str, int], fail: Callable[[int, str], NoReturn]
) -> int:
    price = position.price or prices.get(position.symbol, 0)
    if not price:
        fail(
            position.number,
            f"the account has several collaterals, and {position.symbol} has no price to split its debt by: "
            "map a column to `price`",
        )
    return position.locked * price * (position.threshold or BASIS_POINTS)


def _split_amount(amount: int, weights: list[int]) -> list[int]:
    """Split an amount in proportion to weights, rounded down; the largest weight gets the remainder."""
    whole = sum(weights)
    parts = [amount * weight // whole for weight in weights]
    parts[weights.index(max(weights))] += amount - sum(parts)
    return parts
