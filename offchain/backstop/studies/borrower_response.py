"""Books of settings that are compared: how owners respond to other ratios, and the vaults that all share.

A book that stands still makes the lowest liquidation ratio look safest: owners with as much collateral at
106% as at 145% are further from liquidation at 106%. In truth they would borrow more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario, build_vault_book
from backstop.simulation.scenario.book_repairs import VaultTerms, build_vault_terms_by_type
from backstop.simulation.scenario.draw_scenario import scale_market_depths
from backstop.simulation.scenario.scenario_records import Vault
from backstop.simulation.scenario.vault_books import cut_to_digits

STILL, DISTANCE, LEVERAGE = "still", "distance", "leverage"
RESPONSES = (STILL, DISTANCE, LEVERAGE)
"""Responses of owners to a changed ratio: docs/reference/sweep-grids.md#responses-of-owners."""


@dataclass(frozen=True)
class ComparedBooks:
    """Scenarios to compare, with the same vaults, and remarks on vaults that were left out of all."""

    scenarios: tuple[Scenario, ...]
    remarks: tuple[str, ...] = ()


def build_response_books(
    base: Scenario, settings: Sequence[Scenario], response: str, seed: int
) -> ComparedBooks:
    """Return the settings with the vaults of `base`, adjusted as the owners respond to each setting.

    Collateral stays, debts follow compute_response_debt, and limit_drawn_debts keeps to the ceilings. A vault
    that a setting does not allow is left out of all settings. Market depths follow the debt of `base`.
    """
    prices = _cut_prices(base)
    vaults = build_vault_book(base, seed, prices)
    before = build_vault_terms_by_type(replace(base, opened_at={}), prices)
    late = [vault.debt > before[vault.symbol].compute_largest_debt(vault) for vault in vaults]
    wanted = []
    for setting in settings:
        after = build_vault_terms_by_type(replace(setting, opened_at={}), _cut_prices(setting))
        terms = [(before[vault.symbol], after[vault.symbol]) for vault in vaults]
        wanted.append(
            [compute_response_debt(vault, response, *of) for vault, of in zip(vaults, terms, strict=True)]
        )
    kept = [i for i in range(len(vaults)) if all(debts[i] is not None for debts in wanted)]
    if not kept:
        raise BackstopError(
            f"{base.name}: none of its {len(vaults):,} vaults fits every setting: change less"
        )
    book, found = [vaults[i] for i in kept], []
    whole = sum_debts(base.symbols, vaults)
    for setting, debts in zip(settings, wanted, strict=True):
        moved = _limit_to_ceilings(setting, book, [replace(vaults[i], debt=debts[i] or 0) for i in kept])
        under = [each for i, each in zip(kept, moved, strict=True) if late[i]]
        said = (line for line in base.assumptions if line not in setting.assumptions)
        found.append(
            replace(
                scale_market_depths(setting, whole),
                vaults=tuple(moved),
                generated={},
                book_total=0,
                opened_at=_find_opening_prices(base, setting, under),
                assumptions=(*setting.assumptions, *said),
            )
        )
    left = [vault for i, vault in enumerate(vaults) if i not in set(kept)]
    # A debt beyond what the initial ratio allows is the floor's: compute_response_debt cuts every other.
    why = "that the initial ratio of some setting does not let owe the debt floor"
    return ComparedBooks(tuple(found), _describe_excluded_vaults(left, vaults, why))


def compute_response_debt(vault: Vault, response: str, before: VaultTerms, after: VaultTerms) -> int | None:
    """Return the debt of a vault under other terms [wad], rounded down.

    None if they do not allow it. With `distance`, the ratio of collateral to liquidation ratio stays: the
    debt is multiplied by the old ratio over the new one. With `leverage`, the debt stays. Either is at most
    the debt that the new initial ratio allows at the first price. A debt below the floor is raised to it, if
    the initial ratio allows that.

    A vault that is already below its initial ratio (an imported row) keeps its distance either way. With
    `leverage` it draws no more at a lower ratio.
    """
    if vault.debt == 0:
        return 0
    distant = vault.debt * before.liquidation_ratio // after.liquidation_ratio
    debt = distant if response == DISTANCE else vault.debt
    most = after.compute_largest_debt(vault)
    if vault.debt > before.compute_largest_debt(vault):
        debt = most = min(debt, distant) if response == LEVERAGE else distant
    floor = max(1, after.floor)
    debt = max(min(debt, most), floor)
    return debt if debt <= most else None


def limit_drawn_debts(kept: Sequence[int], wanted: Sequence[int], ceiling: int) -> list[int]:
    """Return debts that add up to the sum of `wanted`, or to the ceiling if that is less [wad].

    Each debt is between `kept` and `wanted`. The room above `kept` is shared pro rata to `wanted` less
    `kept`. Shares come from cumulative sums, so that they add up to the ceiling to the wei. With a ceiling
    below the sum of `kept`, these are returned, and the opening of the vaults is refused.
    """
    room = max(0, ceiling - sum(kept))
    more = sum(wanted) - sum(kept)
    if more <= room:
        return list(wanted)
    found, asked = [], 0
    for held, debt in zip(kept, wanted, strict=True):
        given = asked * room // more
        asked += debt - held
        found.append(held + asked * room // more - given)
    return found


def _limit_to_ceilings(setting: Scenario, book: Sequence[Vault], moved: Sequence[Vault]) -> list[Vault]:
    """Return vaults that draw at most the ceiling of each type, and together the global ceiling.

    A vault with no more debt than before keeps its debt.
    """
    types = {each.symbol: each for each in setting.parameters.collateral_types}
    kept = [
        min(each.debt, max(old.debt, types[old.symbol].debt_floor * WAD))
        for old, each in zip(book, moved, strict=True)
    ]
    debts = [each.debt for each in moved]
    for symbol, each in types.items():
        of = [i for i, vault in enumerate(moved) if vault.symbol == symbol]
        drawn = limit_drawn_debts([kept[i] for i in of], [debts[i] for i in of], each.debt_ceiling * WAD)
        for i, debt in zip(of, drawn, strict=True):
            debts[i] = debt
    debts = limit_drawn_debts(kept, debts, setting.parameters.global_debt_ceiling * WAD)
    return [replace(vault, debt=debt) for vault, debt in zip(moved, debts, strict=True)]


def _find_opening_prices(base: Scenario, setting: Scenario, late: Sequence[Vault]) -> dict[str, int]:
    """Return the opening price of each type [ray], high enough for vaults below the initial ratio."""
    terms = build_vault_terms_by_type(replace(setting, opened_at={}), _cut_prices(setting))
    # Prices of some types alone are those that such vaults needed under the base's ratios.
    found = dict(base.opened_at) if len(base.opened_at) == len(base.symbols) else {}
    for vault in late:
        if terms[vault.symbol].guarded:
            raise BackstopError(
                f"{base.name}: the vault of {vault.owner} cannot be opened at a higher price: the feed of "
                f"{vault.symbol} has a deviation, and would not believe the fall to its first price"
            )
        needed = terms[vault.symbol].compute_needed_price(vault)
        found[vault.symbol] = max(found.get(vault.symbol, 0), needed)
    return found


def _cut_prices(scenario: Scenario) -> dict[str, int]:
    """Return the first prices [ray] cut to nine digits, at which vaults also open on random paths."""
    return {symbol: cut_to_digits(price) for symbol, price in scenario.first_prices.items()}


def sum_debts(symbols: Sequence[str], vaults: Sequence[Vault]) -> dict[str, int]:
    """Return the total debt of the vaults of each type [wad]."""
    debts = dict.fromkeys(symbols, 0)
    for vault in vaults:
        debts[vault.symbol] += vault.debt
    return debts


# ----------------------------------------------------------------- books that stand still


def keep_shared_vaults(settings: Sequence[Scenario]) -> ComparedBooks:
    """Return the settings with only those listed vaults that have the same debt in all settings.

    A higher floor or ratio drops or merges vaults of one setting. Their losses would then count as a gain of
    that setting. Randomly drawn vaults stay.
    """
    sides = [{(each.owner, each.symbol): each for each in setting.vaults} for setting in settings]
    first, *others = sides
    shared = {
        key
        for key, vault in first.items()
        if all(key in side and side[key].debt == vault.debt for side in others)
    }
    left = {key: vault for side in sides for key, vault in side.items() if key not in shared}
    if not left:
        return ComparedBooks(tuple(settings))
    if not shared and not any(setting.generated for setting in settings):
        raise BackstopError(f"{settings[0].name}: no vault owes the same under every setting")
    kept = [
        replace(
            setting,
            vaults=tuple(each for each in setting.vaults if (each.owner, each.symbol) in shared),
        )
        for setting in settings
    ]
    whole = {key: vault for side in sides for key, vault in side.items()}
    why = "that do not owe the same under every setting"
    said = _describe_excluded_vaults(list(left.values()), list(whole.values()), why)
    return ComparedBooks(tuple(kept), said)


def _describe_excluded_vaults(left: Sequence[Vault], whole: Sequence[Vault], why: str) -> tuple[str, ...]:
    """Return a sentence on the excluded vaults: number, reason, and share of the debt.

    The result is empty if no vault is excluded.
    """
    if not left:
        return ()
    owed, debt = (sum(vault.debt for vault in vaults) for vaults in (left, whole))
    return (
        f"{len(left):,} vaults {why} are left out of each: {owed // WAD:,} stablecoins, "
        f"{100 * owed / max(1, debt):.2f}% of the debt.",
    )
