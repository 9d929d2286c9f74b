"""Over-liquidation of a run: the part that each sale closes beyond the repayment that the vault needed."""

import pytest

from backstop.contract_base import Log
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.simulation.run_recorder import RunRecorder
from backstop.system import Action, Outcome

PRICES = (170 * RAY, RAY)


def build_recorder(locked_after: int, debt_after: int) -> RunRecorder:
    """Return the recorder of a run with one collateral type, and a vault that has this after each sale."""
    recorder = RunRecorder(("ETH", "XAUT"), (), ("ETH", "XAUT"))
    recorder.read_sale_price = lambda c: PRICES[c]
    recorder.read_vault = lambda c, owner: (locked_after, debt_after)
    recorder.liquidation_ratios = (15_000, 13_000)
    return recorder


def record_event(recorder: RunRecorder, contract: str, event: str, *values) -> None:
    action = Action(contract, "x", (), "keeper")
    recorder.record_action(
        1, 0, action, "keeper", Outcome(None, None, (Log(contract, event, values),)), PRICES
    )


@pytest.mark.parametrize(
    ("collateral", "principal", "over"),
    [
        # 10 ether at 170 for 1,200 of debt: a repayment of 200 restores 150%.
        (2 * WAD, 200 * RAD, 0),
        (5 * WAD, 600 * RAD, 400 * RAD),
        (10 * WAD, 1_200 * RAD, 1_000 * RAD),
        (WAD, 100 * RAD, 0),
    ],
)
def test_sale_at_a_discount_counts_the_vault_as_it_was_before(collateral, principal, over) -> None:
    recorder = build_recorder(10 * WAD - collateral, 1_200 * RAD - principal)
    paid = principal // RAY
    record_event(
        recorder, "LiquidationEngine", "CollateralSold", 0, "owner", "buyer", collateral, 0, paid, principal
    )
    assert recorder.over_liquidated == [over, 0]


def test_auction_counts_the_whole_vault() -> None:
    recorder = build_recorder(0, 0)
    for _ in range(2):
        record_event(recorder, "LiquidationEngine", "Liquidated", 1, 0, "owner", 10 * WAD, 1_200 * RAD, 0)
    assert recorder.over_liquidated == [2_000 * RAD, 0]
