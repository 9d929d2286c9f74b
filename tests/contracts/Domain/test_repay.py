"""repay: anyone pays debt back, whatever else is wrong; in settlement for the notes."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.auctions import event, stablecoins
from tests.support.domains import ROLLUP, announce, debt, doubt, locked, opened, pay
from tests.support.guards import CAUTION, EMERGENCY, with_guards
from tests.support.helpers import reverts
from tests.support.policy import set_mode
from tests.support.settling import begin

K = 1_000 * WAD


def test_in_part(owing):
    assert pay(owing, 30 * K) == 30 * K
    assert event(owing, "Repaid", "Rollup") == (owing.address("receiver"), 30 * K)
    assert debt(owing) == 70 * K * RAY
    assert stablecoins(owing, "receiver") == 70 * K == owing.read("Stablecoin.totalSupply")
    assert locked(owing) == 100 * K


def test_by_anyone(owing):
    owing.do("Stablecoin.transfer", "stranger", K, sender="receiver")
    assert pay(owing, K, who="stranger") == K


@pytest.mark.parametrize("amount", [100 * K + 1, MAX_UINT256])
def test_no_more_than_the_debt(owing, amount):
    assert pay(owing, amount) == 100 * K
    assert debt(owing) == 0
    assert pay(owing, amount) == 0


def test_with_an_allowance(owing):
    with reverts("erc20: insufficient allowance"):
        owing.do("Rollup.repay", 1, sender="receiver")


def test_nothing_stays_at_the_domain(owing):
    pay(owing, 7)
    assert stablecoins(owing, "Rollup") == 0


@pytest.mark.parametrize("mode", [CAUTION, EMERGENCY])
def test_in_every_mode(new_protocol, mode):
    protocol = opened(new_protocol, with_guards())
    protocol.do("Rollup.draw", K, "receiver", sender="bridge")
    set_mode(protocol, mode)
    assert pay(protocol, K) == K


def test_with_a_loss_announced_the_doubt_stays_whole(owing):
    """What is left is worth less of the debt than before: the loss is the same."""
    announce(owing, 40 * K)
    pay(owing, 30 * K)
    assert 40 * K * RAY <= doubt(owing) < 40 * K * RAY + locked(owing)
    pay(owing, 50 * K)
    assert doubt(owing) == debt(owing) == 20 * K * RAY


def test_whoever_else_repays_its_vault(owing):
    """At the vault engine, as for any vault."""
    owing.do("VaultEngine.repay_and_withdraw", ROLLUP, "Rollup", 30 * K, 0, "receiver", sender="receiver")
    assert debt(owing) == 70 * K * RAY


def test_in_settlement_it_is_kept_for_the_notes(owing):
    begin(owing)
    assert pay(owing, 30 * K) == 30 * K
    assert owing.read("Rollup.paid") == stablecoins(owing, "Rollup") == 30 * K
    assert debt(owing) == 100 * K * RAY
