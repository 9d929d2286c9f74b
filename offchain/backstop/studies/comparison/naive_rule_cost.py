"""Cost of a preset's naive rule by party: the same crash with our rule in its place, and the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.deployment.contracts_by_parameter_name import POOLS, STABLECOIN_POOLS
from backstop.model.arithmetic import RAY
from backstop.simulation.loss_bearers import NOBODY, get_loss_bearer

_POOL_OF = {get_loss_bearer(name): POOLS[name][0] for name in ("junior", "senior", "savings")}

Parties = list[dict[str, str]]


def list_party_gains_naive_over_ours(
    naive: Mapping[str, Any],
    ours: Mapping[str, Any],
    naive_summary: Mapping[str, Any],
    our_summary: Mapping[str, Any],
) -> Parties:
    """Return each party's gain under a naive rule compared with our rule, largest gain first [wad].

    A group's gain falls by its additional payments. Of a pool's payments, remaining depositors bear the part
    that leaving depositors avoid. All gains are in coins, also if settlement makes coins worth less: their
    holders bear that. If vaults are sold at once, an unbooked loss has no payer yet, and keepers have their
    profit. The gain of a stability pool's depositors is their collateral's worth at the end less their
    payments.
    """
    found: dict[str, int] = {}
    left = {
        pool: _sum_leavers_worth(naive_summary, pool) - _sum_leavers_worth(our_summary, pool)
        for pool in STABLECOIN_POOLS
    }
    for pool, gain in left.items():
        found[f"who leaves {pool}"] = gain
    for entry, before in zip(naive["loss_paid_by"], ours["loss_paid_by"], strict=True):
        more = (int(entry["rad"]) - int(before["rad"])) // RAY
        if entry["group"] not in _POOL_OF:
            found[NOBODY if entry["group"] == "holders" else entry["group"]] = -more
        else:
            pool = _POOL_OF[entry["group"]]
            found[f"who stays in {pool}"] = -more - left[pool]
    if naive["pools"] and ours["pools"]:
        gain = int(naive["pools"]["gain_wad"]) - int(ours["pools"]["gain_wad"])
        found["members of stability pools"] = gain
    if naive["sales"] or naive["pools"]:
        unbooked = int(naive["unbooked_rad"]) // RAY - int(ours["unbooked_rad"]) // RAY
        found[NOBODY] = found.get(NOBODY, 0) - unbooked
        found["keepers"] = int(naive["keepers_profit_wad"]) - int(ours["keepers_profit_wad"])
    ranked = sorted(found.items(), key=lambda party: -party[1])
    return [{"party": name, "gain_wad": str(gain)} for name, gain in ranked if gain]


def _sum_leavers_worth(summary: Mapping[str, Any], pool: str) -> int:
    """Return the final balances of depositors that leave a pool [wad of coins], rounded down."""
    leavers = (each for each in summary["members"] if each["pool"] == pool and each["leaves"])
    worth = int((summary["settlement"] or {}).get("coin_worth_ray") or 0) or RAY
    return sum(int(each["end_wad"]) for each in leavers) * RAY // worth


def list_gainers(found: Parties) -> list[tuple[str, int]]:
    """Return the parties that gain a coin or more, each with its gain [wad]."""
    return [(name, gain) for name, gain in _parse_party_gains(found) if gain >= 10**18]


def list_payers(found: Parties) -> list[tuple[str, int]]:
    """Return the parties that lose a coin or more, largest loss first [wad]."""
    return [(name, -gain) for name, gain in reversed(_parse_party_gains(found)) if gain <= -(10**18)]


def _parse_party_gains(party_rows: Parties) -> list[tuple[str, int]]:
    return [(each["party"], int(each["gain_wad"])) for each in party_rows]
