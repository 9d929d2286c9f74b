"""Sections of the live page besides the statement: vaults' health and levels, history, keepers' calls."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, islice
from typing import Any

from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import ACCOUNTS
from backstop.live.mirror.chain_mirror import MinedCall, Mirror
from backstop.live.monitor.monitor_history import DAY, MOST, KeeperCall, MonitorHistory
from backstop.live.solvency.solvency_statement import build_view
from backstop.model.arithmetic import BASIS_POINTS

_CALLS = 25
_NEAREST = 12
# What keepers call; prices, vaults, tokens and members of pools are other people's business.
_KEPT = frozenset(
    (
        *("LiquidationEngine", "CollateralAuction", "FlashTaker", "EquityTaker", "LossWaterfall"),
        *("EquityAuction", "SurplusAuction", "Treasury", "AutoCeiling", "CircuitBreaker", "RiskPolicy"),
        *("Workouts", "BridgeFacilitator", "Settlement"),
    )
)
_BANDS = (10_000, 11_000, 12_500, 15_000, 20_000)
"""Ends of the bands of health; 10,000 is where a vault becomes unsafe."""


FALLS = tuple(range(0, 6_001, 100))
"""Falls of prices after which unsafe debt is counted [bps]."""


class PageSections:
    """Figures of the live page besides the solvency statement, kept up to date by the mirror loop."""

    def __init__(self, deployment: Deployment) -> None:
        self._kinds = deployment.contract_kinds
        self._deployer = deployment.deployer
        roles = {address: role for role, address in ACCOUNTS.items()}
        self._roles = roles | {who: role for role, who in deployment.accounts.items()}
        self.history = MonitorHistory(deployment.parameters.collateral_and_facilitator_names)

    def record_mined_calls(self, mined_calls: Iterable[MinedCall]) -> None:
        """Add mined calls to the history, in their order."""
        for each in mined_calls:
            action = each.action
            kept = self._kinds.get(action.contract) in _KEPT and action.sender != self._deployer
            who = self._roles.get(action.sender, _shorten_value(action.sender)) if kept else None
            call = f"{action.contract}.{action.method}({', '.join(map(_shorten_value, action.args))})"
            self.history.add_call(each, who, call)

    def drop_reorged_blocks(self, last_kept_block: int) -> None:
        """Remove from the history all blocks after `last_kept_block`."""
        self.history.drop_reorged_blocks(last_kept_block)

    def build_figures(self, mirror: Mirror, statement: Mapping[str, Any]) -> dict[str, Any]:
        """Return the page's figures: `bands`, `nearest`, `levels`, `actions`, `keepers` and `history`.

        `bands` count vaults by health, `nearest` are the vaults closest to liquidation, and `levels` count
        unsafe vaults after price drops. `actions` are the latest calls of keepers, and `keepers` the totals
        of each.
        """
        history = self.history
        if history.is_point_due(statement["timestamp"]):
            history.add_point(mirror.block, statement)
        vaults = [row for row in statement["vaults"] if int(row["debt_rad"])]
        healths, levels = _compute_health_and_safe_prices(mirror, statement, vaults)
        order = sorted(range(len(vaults)), key=lambda i: (healths[i], -int(vaults[i]["debt_rad"])))
        oldest = statement["timestamp"] - DAY
        acts = [each for each in history.acts if each.timestamp >= oldest]
        return {
            "bands": _build_health_bands(vaults, healths),
            "nearest": [
                {**vaults[i], "health_bps": healths[i], "unsafe_under_ray": str(levels[i])}
                for i in order[:_NEAREST]
            ],
            "levels": _count_unsafe_vaults_after_falls(statement, vaults, levels),
            "actions": [_build_action_row(each) for each in islice(reversed(acts), _CALLS)],
            "keepers": _build_keeper_rows(acts),
            "history": {
                "points": tuple(history.points),
                "events": tuple(each for each in history.events if each.timestamp >= oldest),
                "acts": tuple(acts),
                "cut": MOST if MOST in (len(history.acts), len(history.events)) else 0,
            },
        }


def _build_action_row(act: KeeperCall) -> dict[str, Any]:
    return {
        **{name: getattr(act, name) for name in ("block", "timestamp", "who", "call", "told", "gas")},
        "ok": act.reason is None,
        "reason": act.reason,
    }


def _build_keeper_rows(acts: Sequence[KeeperCall]) -> list[dict[str, Any]]:
    """Return totals of each keeper's calls, in descending order of profit."""
    by_name: dict[str, list[KeeperCall]] = {}
    for each in acts:
        by_name.setdefault(each.who, []).append(each)
    rows = [
        {
            "who": who,
            "done": sum(each.reason is None for each in own),
            "failed": sum(each.reason is not None for each in own),
            "gained_wad": str(sum(each.gained for each in own)),
            "gas_paid_wad": str(sum(each.cost for each in own)),
            "last": next((each.told or each.call for each in reversed(own) if each.reason is None), ""),
            "last_at": own[-1].timestamp,
        }
        for who, own in by_name.items()
    ]
    return sorted(rows, key=lambda row: (-int(str(row["gained_wad"])), -int(str(row["done"])), row["who"]))


def _count_unsafe_vaults_after_falls(
    statement: Mapping[str, Any], vaults: Sequence[Mapping[str, Any]], liquidation_price_levels: Sequence[int]
) -> dict[str, Any]:
    """Return the count and debt of unsafe vaults after each price drop of FALLS, by type and together.

    `liquidation_price_levels` holds each vault's lowest safe price [ray]: the vault is unsafe below it. The
    price after a drop is rounded down.
    """
    types, whole = [], sum(int(row["debt_rad"]) for row in vaults)
    for row in statement["collateral_types"]:
        own = sorted(
            (liquidation_price_levels[i], int(vault["debt_rad"]))
            for i, vault in enumerate(vaults)
            if vault["symbol"] == row["symbol"]
        )
        at, owed = [level for level, _ in own], [0, *accumulate(debt for _, debt in own)]
        safe = [
            bisect_right(at, int(row["price_ray"]) * (BASIS_POINTS - fall) // BASIS_POINTS) for fall in FALLS
        ]
        types.append(
            {
                "symbol": row["symbol"],
                "vaults": [len(own) - count for count in safe],
                "debt_rad": [str(owed[-1] - owed[count]) for count in safe],
            }
        )
    together = [
        {
            "fall_bps": fall,
            "vaults": sum(each["vaults"][i] for each in types),
            "debt_rad": str(sum(int(each["debt_rad"][i]) for each in types)),
        }
        for i, fall in enumerate(FALLS)
    ]
    return {"types": types, "all": together, "debt_rad": str(whole)}


def _compute_health_and_safe_prices(
    mirror: Mirror, statement: Mapping[str, Any], vaults: Sequence[Mapping[str, Any]]
) -> tuple[list[int], list[int]]:
    """Return the health of each vault [basis points] and the lowest price at which it is safe [ray].

    Health is the collateral over the required collateral, rounded down. The price is rounded up; it is 0 for
    a vault without collateral.
    """
    view = build_view(mirror.model, mirror.deployment)
    types = {row["symbol"]: c for c, row in enumerate(statement["collateral_types"])}
    healths, levels = [], []
    for row in vaults:
        c, debt = types[row["symbol"]], int(row["debt_rad"])
        asked = debt * view.get_terms(c).liquidation_ratio + view.compute_margin_add_on(c, debt)
        locked = int(row["locked_wad"])
        healths.append(locked * view.outside.prices[c] * BASIS_POINTS * BASIS_POINTS // asked)
        levels.append(-(-asked // (locked * BASIS_POINTS)) if locked else 0)
    return healths, levels


def _shorten_value(value: Any) -> str:
    text = f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
    return text if len(text) <= 12 else f"{text[:10]}…"


def _build_health_bands(vaults: Sequence[Mapping[str, Any]], healths: Sequence[int]) -> list[dict[str, Any]]:
    """Return the number of vaults and their debt in each band of health."""
    rows = []
    for low, high in zip((0, *_BANDS), (*_BANDS, None), strict=True):
        inside = [
            int(row["debt_rad"])
            for row, health in zip(vaults, healths, strict=True)
            if low <= health and (high is None or health < high)
        ]
        rows.append({"from_bps": low, "to_bps": high, "vaults": len(inside), "debt_rad": str(sum(inside))})
    return rows
