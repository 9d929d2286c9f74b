"""Sections of the live page besides the statement: how healthy vaults are, and what keepers did of late."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backstop.deployment.accounts import ACCOUNTS
from backstop.deployment.plan import Deployment
from backstop.live.audit.statement import view_of
from backstop.live.follow.mirror import Mirror, Seen
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

    def called(self, seen: Iterable[Seen]) -> None:
        """Add calls that were mined, in their order."""
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
        healths = _healths(mirror, statement, vaults)
        order = sorted(range(len(vaults)), key=lambda i: (healths[i], -int(vaults[i]["debt_rad"])))
        return {
            "bands": _bands(vaults, healths),
            "nearest": [{**vaults[i], "health_bps": healths[i]} for i in order[:_NEAREST]],
            "actions": [self._action(each) for each in reversed(self._calls)],
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


def _healths(mirror: Mirror, statement: Mapping[str, Any], vaults: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return each vault's collateral over what its debt asks for [basis points], rounded down."""
    view = view_of(mirror.model, mirror.deployment)
    types = {row["symbol"]: c for c, row in enumerate(statement["collateral_types"])}
    found = []
    for row in vaults:
        c, debt = types[row["symbol"]], int(row["debt_rad"])
        asked = debt * view.terms(c).liquidation_ratio + view.add_on(c, debt)
        worth = int(row["locked_wad"]) * view.outside.prices[c]
        found.append(worth * BASIS_POINTS * BASIS_POINTS // asked)
    return found


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
