"""collect, cash_of: owners get the cash that their tokens were paid, of any generation."""

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.contracts.RecoveryClaims.conftest import SAVER, lose, move_to_workout
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "pool.Claims.collect"


def test_anyone_may_have_an_owner_paid(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    assert owed.do(CALL, "saver", 0, sender="stranger") == 75 * WAD
    assert owed.read("Stablecoin.balanceOf", "saver") == 75 * WAD
    assert owed.read("pool.Claims.cash_of", "saver", 0) == 0
    collected = [log.values for log in owed.last.logs if log.event == "Collected"]
    assert collected == [(owed.address("saver"), 75 * WAD)]


def test_once(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    owed.do(CALL, "saver", 0, sender="saver")
    with reverts("recovery_claims: no cash"):
        owed.do(CALL, "saver", 0, sender="saver")


def test_not_for_those_who_have_no_tokens(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    for who, generation in (("stranger", 0), ("saver", 1)):
        with reverts("recovery_claims: no cash"):
            owed.do(CALL, who, generation, sender=who)


def test_of_a_generation_that_is_over(owed):
    owed.do("pool.Claims.repay", MAX_UINT256, sender="payer")
    lose(owed, 12 * WAD, members=SAVER)
    move_to_workout(owed, "saver", SAVER, since=(0, 1), until=(0, 2))
    owed.do("pool.Claims.repay", 6 * WAD, sender="payer")
    assert owed.do(CALL, "saver", 0, sender="saver") == 300 * WAD
    assert owed.do(CALL, "saver", 1, sender="saver") == 6 * WAD
    assert owed.read("Stablecoin.balanceOf", "pool.Claims") == 100 * WAD


def test_payments_add_up(owed):
    for amount in (1, 10 * WAD + 3, 77_777, 200 * WAD):
        owed.do("pool.Claims.repay", amount, sender="payer")
    paid = owed.do(CALL, "saver", 0, sender="saver") + owed.do(CALL, "neighbour", 0, sender="neighbour")
    assert 210 * WAD + 77_781 - paid in (0, 1, 2)
