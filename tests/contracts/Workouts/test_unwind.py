"""unwind: in settlement lot and principal go back to the vault, which is then settled like any other."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auctions import WETH, event
from tests.support.helpers import reverts
from tests.support.settling import begin as begin_settlement
from tests.support.settling import close, fix_prices, indebted, skim
from tests.support.workouts import DEBT, LOT, OWED, begin, give, in_auction, pay, vault

CALL = "Workouts.unwind"


@pytest.fixture
def settling(workouts):
    begin(workouts)
    give(workouts, "borrower", OWED)
    pay(workouts, 1, OWED // 4)
    begin_settlement(workouts)
    return workouts


def test_lot_and_principal_go_back(settling):
    settling.do(CALL, 1, sender="stranger")
    left = (DEBT - OWED // 4) * RAY
    assert event(settling, "WorkoutUnwound", "Workouts") == (
        *(1, WETH, settling.address("borrower"), LOT, left),
    )
    assert (vault(settling).locked_collateral, vault(settling).normalized_debt * RAY) == (LOT, left)
    assert in_auction(settling) == settling.read("Workouts.in_workouts", WETH) == 0
    with reverts("workouts: no workout"):
        settling.do(CALL, 1, sender="stranger")


def test_the_premium_is_forgiven(workouts):
    begin(workouts)
    give(workouts, "borrower", OWED)
    pay(workouts, 1, DEBT)
    begin_settlement(workouts)
    workouts.do(CALL, 1, sender="stranger")
    assert tuple(vault(workouts))[:2] == (LOT, 0)


def test_nothing_is_skimmed_before(settling):
    fix_prices(settling)
    with reverts("settlement: no debt"):
        skim(settling, WETH, "borrower")
    with reverts("settlement: debts are left"):
        settling.do("Settlement.fix", sender="stranger")
    settling.do(CALL, 1, sender="stranger")
    for c, owner in indebted(settling):
        skim(settling, c, owner)
    close(settling)
    assert settling.read("VaultEngine.total_debt") == 0


def test_only_in_settlement(workouts):
    begin(workouts)
    with reverts("workouts: not settling"):
        workouts.do(CALL, 1, sender="stranger")
