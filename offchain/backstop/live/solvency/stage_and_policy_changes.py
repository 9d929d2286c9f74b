"""Changes since the deployment, and announced changes: stages, the risk policy, settlement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.contracts_by_parameter_name import STAGES
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.hosts.model_system import ModelSystem
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.stage_order import NOT_SET

_NOBODY = ZERO_ADDRESS


def stages_in_order(waterfall: LossWaterfall, deployment: Deployment) -> dict[int, str]:
    """Return the names of the loss waterfall's stages by id, in the order in which they bear losses.

    Raise BackstopError if the order is not set, or if a stage is not of the deployment.
    """
    found = {k: _get_stage_name(waterfall, k, deployment) for k in waterfall.stage_ids(_NOBODY)}
    if not found:
        raise BackstopError("the order of losses is not set yet")
    return found


def describe_stage_debts(waterfall: LossWaterfall, stage_id: int, types: Sequence[int]) -> dict[str, Any]:
    """Return what a stage of the loss waterfall owes, and its missed payments by type [rad].

    Missed payments are those that other stages made in its place while it failed.
    """
    return {
        "owed_rad": str(waterfall.owed[stage_id]),
        "missed_rad": [str(waterfall.missed(_NOBODY, stage_id, c)) for c in types],
    }


def describe_removed_stages(
    waterfall: LossWaterfall, deployment: Deployment, types: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the stages that were removed from the loss waterfall, with the debts they still owe."""
    present = waterfall.stage_ids(_NOBODY)
    rows = []
    for k in range(waterfall.lineup[()].known):
        if k not in present:
            name = _get_stage_name(waterfall, k, deployment)
            rows.append(
                {
                    "stage": name,
                    "contract": STAGES[name].contract,
                    **describe_stage_debts(waterfall, k, types),
                }
            )
    return rows


def build_policy_in_force_statement(model: ModelSystem, deployment: Deployment) -> dict[str, Any] | None:
    """Return the risk policy in force and whether it is the deployed one; None without a policy."""
    at = model.view("VaultEngine", "risk_policy")
    if at == ZERO_ADDRESS:
        return None
    known = model.world.addresses[at]
    deployed = at == deployment.addresses.get("RiskPolicy")
    return {"contract": known.label, "kind": known.KIND, "address": at, "deployed": deployed}


def describe_pending_stages_and_settlement(
    waterfall: LossWaterfall, announced_for: int, model: ModelSystem
) -> dict[str, Any]:
    """Return announced changes: other stages of the loss waterfall, settlement, and delistings.

    The first two are None if nothing is announced. For each perpetual market that is delisted, the row has
    the time from which it is settled, and whether it has ended.
    """
    proposed = waterfall.proposed_hash(_NOBODY)
    stages: Mapping[str, Any] = {
        "hash": "0x" + proposed.hex(),
        "ready_at": waterfall.stages_ready_at(_NOBODY),
    }
    return {
        "stages": None if proposed == NOT_SET else stages,
        "settlement_from": announced_for or None,
        "delistings": list(_iter_market_delisting_rows(model)),
    }


def _iter_market_delisting_rows(model: ModelSystem) -> Iterator[dict[str, Any]]:
    if "PerpetualMarket" in model.world.contracts:
        ended = model.view("PerpetualMarket", "clock_of").ended
        for m in range(model.view("MarginPolicy", "markets")):
            if ends_at := model.view("MarginPolicy", "ends_at", m):
                yield {"market": m, "ends_at": ends_at, "ended": bool(ended >> m & 1)}


def _get_stage_name(waterfall: LossWaterfall, stage_id: int, deployment: Deployment) -> str:
    """Return the name of the loss waterfall's stage with an id.

    Raise BackstopError if the stage is not of the deployment.
    """
    at = waterfall.stage_terms(_NOBODY, stage_id).stage
    for each in deployment.parameters.stages:
        if deployment.addresses[STAGES[each.name].contract] == at:
            return each.name
    raise BackstopError(f"the stage {at} was added later, and is none of the deployment file: not supported")
