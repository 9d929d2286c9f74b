"""claw_back: income that has not vested pays for a loss; no share loses value."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import DAY, XAU, lose_new_vault

CALL = "Young.claw_back"


@pytest.fixture
def earning(junior):
    """The pool with an income of 700, of which 100 have vested; and a loss."""
    lose_new_vault(junior)
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    junior.advance(DAY)
    return junior


@pytest.mark.parametrize("sender", ["stranger", "admin", "payer"])
def test_only_the_clawback_stage_may_call(earning, sender):
    with reverts("pool: not clawback stage"):
        earning.do(CALL, XAU, 1, sender=sender)


def test_burns_what_it_pays(earning):
    deficit, supply = earning.read("VaultEngine.deficit_of", XAU), earning.read("Stablecoin.totalSupply")
    assert earning.do(CALL, XAU, 200 * WAD * RAY, sender="clawback") == 200 * WAD * RAY
    assert earning.read("VaultEngine.deficit_of", XAU) == deficit - 200 * WAD * RAY
    assert earning.read("Stablecoin.totalSupply") == supply - 200 * WAD
    assert earning.read("Stablecoin.balanceOf", "Young") == 4_500 * WAD
    clawed = [log.values for log in earning.last.logs if log.event == "IncomeClawedBack"]
    assert clawed == [(XAU, 200 * WAD)]


def test_the_payment_is_rounded_up(earning):
    assert earning.do(CALL, XAU, RAY + 1, sender="clawback") == RAY + 1
    assert earning.read("Young.unvested") == 600 * WAD - 2
    assert earning.read("VaultEngine.reserve") == RAY - 1


def test_what_has_vested_stays(earning):
    earning.do(CALL, XAU, 200 * WAD * RAY, sender="clawback")
    assert earning.read("Young.totalAssets") == 4_100 * WAD
    assert earning.read("Young.unvested") == 400 * WAD
    earning.advance(3 * DAY)
    assert earning.read("Young.totalAssets") == 4_300 * WAD
    earning.advance(3 * DAY)
    assert earning.read("Young.unvested") == 0


def test_no_claims_are_due(earning):
    earning.do(CALL, XAU, 200 * WAD * RAY, sender="clawback")
    assert earning.read("Young.Claims.outstanding") == 0


def test_all_of_it_and_no_more(earning):
    with reverts("pool: vested already"):
        earning.do(CALL, XAU, 600 * WAD * RAY + 1, sender="clawback")
    earning.do(CALL, XAU, 600 * WAD * RAY, sender="clawback")
    assert earning.read("Young.unvested") == 0
    earning.do("Young.add_income", WAD, sender="payer")
    assert earning.read("Young.unvested") == WAD
