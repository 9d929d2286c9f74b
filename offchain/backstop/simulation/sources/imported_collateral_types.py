"""Collateral types of an imported book: a type for each collateral, debt asset and liquidation threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from backstop.model.arithmetic import BASIS_POINTS, WAD, div_up
from backstop.model.bounds import MAX_COLLATERAL_TYPES
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.scenario_records import TypeAssets
from backstop.simulation.sources.account_to_vault_splitting import AccountPosition
from backstop.simulation.sources.book_changes import MERGED, PRICED, BookChange

_LONGEST = 32  # letters of a symbol


class PositionType(NamedTuple):
    """Key of a position's collateral type: collateral, debt asset and liquidation threshold."""

    collateral: str
    debt_asset: str  # "" is the stablecoin
    threshold: int  # basis points; 0: not given


class TypeTable(NamedTuple):
    """Collateral types of an imported book: names, assets, ratios, and notes on the import."""

    names: dict[PositionType, str]
    assets: dict[str, TypeAssets]
    ratios: dict[str, int]  # basis points, rounded up; types whose positions have a threshold
    notes: list[str]
    changes: list[BookChange]


def build_type_table(positions: Sequence[AccountPosition]) -> TypeTable:
    """Return the collateral types of positions, one for each collateral, debt asset and threshold.

    If there are more types than a protocol can have, those with the smallest debt are merged. A merged
    position gets the threshold of the largest type with its assets. This largest type has the plain name,
    without a threshold.
    """
    debts: dict[PositionType, int] = {}
    for each in positions:
        kind = get_position_type(each)
        debts[kind] = debts.get(kind, 0) + each.debt
    ordered = sorted(debts, key=lambda kind: (-debts[kind], kind))
    largest: dict[tuple[str, str], PositionType] = {}
    for kind in ordered:
        largest.setdefault(kind[:2], kind)
    merged = _list_merged_types(ordered, largest, debts)
    names = {kind: _name_type(kind, largest[kind[:2]] == kind) for kind in ordered if kind not in merged}
    names |= {kind: names[largest[kind[:2]]] for kind in merged}
    assets = {names[kind]: TypeAssets(kind.collateral, kind.debt_asset) for kind in ordered}
    ratios = {
        name: div_up(BASIS_POINTS * BASIS_POINTS, kind.threshold)
        for kind, name in names.items()
        if kind.threshold and kind not in merged
    }
    notes = _describe_types(ordered, names, merged, debts)
    return TypeTable(names, assets, ratios, notes, _list_type_changes(positions, merged))


def get_position_type(position: AccountPosition) -> PositionType:
    """Return the type key of a position: its collateral, debt asset and threshold."""
    return PositionType(position.symbol, position.debt_asset, position.threshold)


def _name_type(kind: PositionType, is_largest: bool) -> str:
    """Return a type's symbol: wstETH, wstETH-WETH for a debt asset, wstETH-81 for a threshold."""
    debt = f"-{kind.debt_asset}" if kind.debt_asset else ""
    threshold = "" if is_largest else f"-{format_decimal(kind.threshold, 100)}"
    return f"{kind.collateral[: _LONGEST - len(debt) - len(threshold)]}{debt}{threshold}"


def _list_merged_types(
    ordered: Sequence[PositionType],
    largest: dict[tuple[str, str], PositionType],
    debts: dict[PositionType, int],
) -> list[PositionType]:
    """Return the types to merge into the largest type of their assets.

    These are the types with the smallest debt beyond the allowed number, and types without debt.
    """
    indebted = [kind for kind in ordered if debts[kind]]
    over = max(0, len(indebted) - MAX_COLLATERAL_TYPES)
    mergeable = [kind for kind in reversed(indebted) if largest[kind[:2]] != kind]
    idle = [kind for kind in ordered if not debts[kind] and largest[kind[:2]] != kind]
    return [*mergeable[:over], *idle]


def _list_type_changes(
    positions: Sequence[AccountPosition], merged: Sequence[PositionType]
) -> list[BookChange]:
    """Return the counts of debts in other assets and of positions with a merged threshold."""
    found = []
    debts: dict[str, list[int]] = {}
    for each in positions:
        if each.debt_asset:
            debts.setdefault(each.debt_asset, []).append(each.debt)
    found += [BookChange(PRICED, f"debts of {asset}", len(each), sum(each)) for asset, each in debts.items()]
    kinds = set(merged)
    moved = [each.debt for each in positions if each.debt and get_position_type(each) in kinds]
    if moved:
        found.append(BookChange(MERGED, "vaults of the smallest thresholds", len(moved), sum(moved)))
    return found


def _describe_types(
    ordered: Sequence[PositionType],
    names: dict[PositionType, str],
    merged: Sequence[PositionType],
    debts: dict[PositionType, int],
) -> list[str]:
    notes = []
    for asset in dict.fromkeys(kind.debt_asset for kind in ordered if kind.debt_asset):
        owing = [kind for kind in ordered if kind.debt_asset == asset]
        owed = sum(debts[kind] for kind in owing)
        called = ", ".join(dict.fromkeys(names[kind] for kind in owing))
        notes.append(
            f"Debts of {asset} worth {owed // WAD:,} dollars are of types that are priced in it: {called}."
        )
    for collateral, asset in dict.fromkeys(kind[:2] for kind in ordered):
        several = [kind for kind in ordered if kind[:2] == (collateral, asset) and kind not in merged]
        if len(several) > 1:
            of = ", ".join(
                f"{names[kind]} ({format_decimal(kind.threshold, 100)}%)" if kind.threshold else names[kind]
                for kind in several
            )
            notes.append(f"{collateral} has several thresholds, each a type of its own: {of}.")
    owed = sum(debts[kind] for kind in merged)
    if owed:
        whole = max(1, sum(debts.values()))
        notes.append(
            f"{sum(1 for kind in merged if debts[kind]):,} thresholds of {owed // WAD:,} stablecoins of debt "
            f"({100 * owed / whole:.2f}%) are merged into the largest of their assets: a protocol has "
            f"{MAX_COLLATERAL_TYPES} types."
        )
    return notes


def describe_excess_types(
    type_debts: Mapping[str, int], type_assets: Mapping[str, TypeAssets], has_accounts: bool
) -> str:
    """Return an error message for more collateral types than a protocol can have, with a remedy.

    The remedy is to count debts as dollars if this suffices, else to keep the collaterals with the largest
    debt. `type_debts` are in wad. Where several rows form an account, a filter by collateral would drop debt
    rows, so the message advises to remove accounts from the file.
    """
    debts: dict[str, int] = {}
    for symbol, debt in type_debts.items():
        collateral = type_assets[symbol].collateral
        debts[collateral] = debts.get(collateral, 0) + debt
    has_pairs = any(type_assets[symbol].debt for symbol in type_debts)
    ordered = sorted(debts, key=lambda symbol: (-debts[symbol], symbol))
    excess = f"has {len(type_debts)} types, and a protocol {MAX_COLLATERAL_TYPES} at most"
    if has_pairs and len(ordered) <= MAX_COLLATERAL_TYPES:
        dollars = f"with --debts dollars: {len(ordered)} types are left"
        return f"{excess}: count debts of other assets as dollars, {dollars}"
    kept = ordered[:MAX_COLLATERAL_TYPES]
    left_out = sum(debts[symbol] for symbol in ordered[MAX_COLLATERAL_TYPES:])
    share = float(Fraction(100 * left_out, max(1, sum(debts.values()))))
    if has_accounts:
        advice = f"leave accounts with other collateral out of the file than {', '.join(kept)}"
    else:
        dollars = "--debts dollars " if has_pairs else ""
        advice = f"keep the largest with {dollars}--only '{'|'.join(kept)}' of its column of collateral"
    rest = f"the others owe {left_out // WAD:,} stablecoins, {share:.2f}% of the debt"
    return f"{excess}: {advice}; {rest}"
