"""The live page's data: the price at which a vault becomes unsafe, and a keeper's calls by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from backstop.deployment.planned_contracts import plan_deployment
from backstop.live.mirror.chain_mirror import MinedCall, Mirror
from backstop.live.monitor.page_sections import PageSections
from backstop.live.solvency.solvency_statement import build_statement
from backstop.model.arithmetic import WAD
from backstop.proof.local_protocol import LocalProtocol
from backstop.system import Action


def figures(protocol: LocalProtocol, scene: PageSections) -> dict[str, Any]:
    model, deployment = protocol.lockstep.model, plan_deployment(protocol.parameters)
    mirror = cast(Mirror, SimpleNamespace(model=model, deployment=deployment, block=1))
    return scene.build_figures(mirror, build_statement(model, deployment))


@pytest.mark.parametrize("percent", [99, 100, 101])
def test_a_vault_is_unsafe_under_its_level_and_not_at_it(protocol: LocalProtocol, percent: int) -> None:
    scene = PageSections(plan_deployment(protocol.parameters))
    protocol.borrow("borrower", "WETH", 100 * WAD, 10_000 * WAD)
    (first,) = figures(protocol, scene)["nearest"]
    price = int(first["unsafe_under_ray"]) * percent // 100
    protocol.post_price("WETH", price)
    (row,) = figures(protocol, scene)["nearest"]
    assert int(row["unsafe_under_ray"]) == int(first["unsafe_under_ray"])
    assert (row["health_bps"] < 10_000) == (percent < 100)


def test_a_liquidation_is_told_with_its_auction(protocol: LocalProtocol) -> None:
    scene = PageSections(plan_deployment(protocol.parameters))
    protocol.borrow("borrower", "WETH", 100 * WAD, 10_000 * WAD)
    level = int(figures(protocol, scene)["nearest"][0]["unsafe_under_ray"])
    protocol.post_price("WETH", level * 9 // 10)
    c = protocol.get_collateral_type("WETH")
    protocol.do("LiquidationEngine.liquidate", c, "borrower", "liquidator", sender="liquidator")
    borrower, liquidator = protocol.address("borrower"), protocol.address("liquidator")
    action = Action(
        "LiquidationEngine", "liquidate", (c, protocol.address("borrower"), liquidator), liquidator
    )
    scene.record_mined_calls([MinedCall("0x1", 5, protocol.timestamp, action, protocol.last, 1, 1)])
    (row,) = figures(protocol, scene)["actions"]
    assert row["who"] == "liquidator"
    assert f"liquidated {borrower[:10]}…: 100 WETH" in row["told"]
    assert " WETH for a debt of " in row["told"] and ", auction 1" in row["told"]
    assert row["call"].startswith("LiquidationEngine.liquidate(")
