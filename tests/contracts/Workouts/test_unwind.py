"""unwind: in settlement lot and principal go back to the vault, which is then settled like any other."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import (
    cover_and_fix_redemption_rates,
    fix_prices,
    list_indebted_vaults,
    skim_vault_and_read_amounts,
)
from tests.support.settlement_steps import start_settlement as begin_settlement
from tests.support.workout_steps import (
    DEBT,
    LOT,
    OWED,
    give_borrowed_stablecoin,
    pay_workout,
    read_vault,
    read_weth_principal_in_auction,
    start_workout,
)

CALL = "Workouts.unwind"


@pytest.fixture
def settling(workouts):
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "borrower", OWED)
    pay_workout(workouts, 1, OWED // 4)
    begin_settlement(workouts)
    return workouts


def test_lot_and_principal_go_back(settling):
    settling.do(CALL, 1, sender="stranger")
    left = (DEBT - OWED // 4) * RAY
    assert get_only_event_values(settling, "WorkoutUnwound", "Workouts") == (
        *(1, WETH, settling.address("borrower"), LOT, left),
    )
    assert (read_vault(settling).locked_collateral, read_vault(settling).normalized_debt * RAY) == (LOT, left)
    assert read_weth_principal_in_auction(settling) == settling.read("Workouts.in_workouts", WETH) == 0
    with reverts("workouts: no workout"):
        settling.do(CALL, 1, sender="stranger")


def test_the_premium_is_forgiven(workouts):
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "borrower", OWED)
    pay_workout(workouts, 1, DEBT)
    begin_settlement(workouts)
    workouts.do(CALL, 1, sender="stranger")
    assert tuple(read_vault(workouts))[:2] == (LOT, 0)


def test_nothing_is_skimmed_before(settling):
    fix_prices(settling)
    with reverts("settlement: no debt"):
        skim_vault_and_read_amounts(settling, WETH, "borrower")
    with reverts("settlement: debts are left"):
        settling.do("Settlement.fix_redemption_rates", sender="stranger")
    settling.do(CALL, 1, sender="stranger")
    for c, owner in list_indebted_vaults(settling):
        skim_vault_and_read_amounts(settling, c, owner)
    cover_and_fix_redemption_rates(settling)
    assert settling.read("VaultEngine.total_debt") == 0


def test_only_in_settlement(workouts):
    start_workout(workouts)
    with reverts("workouts: not settling"):
        workouts.do(CALL, 1, sender="stranger")
