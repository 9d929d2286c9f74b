"""Sections of the live page besides the statement: how healthy vaults are, and what keepers did of late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backstop.deployment.accounts import ACCOUNTS
from backstop.deployment.plan import Deployment
from backstop.live.audit.statement import view_of
from backstop.live.follow.mirror import Mirror, Seen
from backstop.live.watch.told import Names, told
from backstop.model.arithmetic import BASIS_POINTS

_CALLS = 25
_NEAREST = 12
# What keepers call; prices, vaults, tokens and members of pools are other people's business.
_KEPT = frozenset(
    (
        *("LiquidationEngine", "CollateralAuction", "FlashTaker", "EquityTaker", "LossWaterfall"),
        *("EquityAuction", "SurplusAuction", "Treasury", "AutoCeiling", "CircuitBreaker", "RiskPolicy"),
        *("Workouts", "Domain", "Settlement"),
    )
)
_BANDS = (10_000, 11_000, 12_500, 15_000, 20_000)
"""Ends of the bands of health; 10,000 is where a vault becomes unsafe."""


class Scene:
    """A scene that the loop that follows the chain keeps up."""

    def __init__(self, deployment: Deployment) -> None:
        self._kinds = deployment.kinds
        self._deployer = deployment.deployer
        roles = {address: role for role, address in ACCOUNTS.items()}
        self._roles = roles | {who: role for role, who in deployment.accounts.items()}
        self._calls: deque[Seen] = deque(maxlen=_CALLS)
        self._sold: dict[int, int] = {}  # auction -> collateral type

    def called(self, seen: Iterable[Seen]) -> None:
        """Add calls that were mined, in their order."""
        seen = list(seen)
        for log in (log for each in seen for log in each.outcome.logs):
            if (log.contract, log.event) == ("CollateralAuction", "AuctionStarted"):
                self._sold[log.values[0]] = log.values[1]
        self._calls.extend(
            each
            for each in seen
            if self._kinds.get(each.action.contract) in _KEPT and each.action.sender != self._deployer
        )

    def taken_back(self, block: int) -> None:
        """Remove what was mined after a block."""
        kept = [each for each in self._calls if each.block <= block]
        self._calls = deque(kept, maxlen=_CALLS)

    def figures(self, mirror: Mirror, statement: Mapping[str, Any]) -> dict[str, Any]:
        """Return `bands`, `nearest` and `actions`."""
        vaults = [row for row in statement["vaults"] if int(row["debt_rad"])]
        healths, levels = _healths(mirror, statement, vaults)
        types = Names(dict(enumerate(row["symbol"] for row in statement["collateral_types"])), "collateral")
        sold = {auction: types[c] for auction, c in self._sold.items()}
        sold |= {row["id"]: row["symbol"] for row in statement["auctions"]}  # also of before it looked
        auctions = Names(sold, "collateral")
        order = sorted(range(len(vaults)), key=lambda i: (healths[i], -int(vaults[i]["debt_rad"])))
        return {
            "bands": _bands(vaults, healths),
            "nearest": [
                {**vaults[i], "health_bps": healths[i], "unsafe_under_ray": str(levels[i])}
                for i in order[:_NEAREST]
            ],
            "actions": [
                self._action(each) | {"told": told(each.outcome, types, auctions)}
                for each in reversed(self._calls)
            ],
        }

    def _action(self, seen: Seen) -> dict[str, Any]:
        action, outcome = seen.action, seen.outcome
        return {
            "block": seen.block,
            "timestamp": seen.timestamp,
            "who": self._roles.get(action.sender, _short(action.sender)),
            "call": f"{action.contract}.{action.method}({', '.join(map(_short, action.args))})",
            "ok": outcome.ok,
            "reason": outcome.reason,
            "gas": seen.gas,
        }


def _healths(
    mirror: Mirror, statement: Mapping[str, Any], vaults: Sequence[Mapping[str, Any]]
) -> tuple[list[int], list[int]]:
    """Return each vault's collateral over what its debt asks for [basis points], rounded down, and its level.

    That is the lowest price at which it is safe [ray], rounded up; 0 of a vault without collateral.
    """
    view = view_of(mirror.model, mirror.deployment)
    types = {row["symbol"]: c for c, row in enumerate(statement["collateral_types"])}
    healths, levels = [], []
    for row in vaults:
        c, debt = types[row["symbol"]], int(row["debt_rad"])
        asked = debt * view.terms(c).liquidation_ratio + view.add_on(c, debt)
        locked = int(row["locked_wad"])
        healths.append(locked * view.outside.prices[c] * BASIS_POINTS * BASIS_POINTS // asked)
        levels.append(-(-asked // (locked * BASIS_POINTS)) if locked else 0)
    return healths, levels


def _short(value: Any) -> str:
    text = f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
    return text if len(text) <= 12 else f"{text[:10]}…"


def _bands(vaults: Sequence[Mapping[str, Any]], healths: Sequence[int]) -> list[dict[str, Any]]:
    """Count the vaults, and their debt, between two ends of health."""
    rows = []
    for low, high in zip((0, *_BANDS), (*_BANDS, None), strict=True):
        inside = [
            int(row["debt_rad"])
            for row, health in zip(vaults, healths, strict=True)
            if low <= health and (high is None or health < high)
        ]
        rows.append({"from_bps": low, "to_bps": high, "vaults": len(inside), "debt_rad": str(sum(inside))})
    return rows
