"""Collateral that is handed over without debt puts no debt in distress.

Found by a campaign of a million steps: where a workout's principal is repaid and only its premium is left, a
top-up marked its type as distressed, and nothing was.
"""

from backstop.model.arithmetic import WAD
from tests.support.auction_steps import WETH
from tests.support.workout_steps import DEBT, deploy_with_workouts, pay_workout, start_workout


def test_the_type_is_not_in_distress(new_protocol):
    workouts = deploy_with_workouts(new_protocol)
    start_workout(workouts)
    workouts.mint_and_approve_collateral("WETH", "borrower", WAD)
    workouts.do("VaultEngine.deposit_and_draw", WETH, "borrower", WAD, 0, "borrower", sender="borrower")
    pay_workout(workouts, 1, DEBT)
    assert workouts.read("VaultEngine.in_auction_of", WETH) == 0
    assert workouts.read("VaultEngine.debts_of", WETH).distressed == 0
    workouts.do("Workouts.top_up", 1, WAD, sender="borrower")
    assert workouts.read("VaultEngine.debts_of", WETH).distressed == 0
