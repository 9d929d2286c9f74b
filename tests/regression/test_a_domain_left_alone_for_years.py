"""A failure that the fuzzer found: property 24, a domain with a fee that nobody had called for over a year.

The vault engine charged a year's fee a call. The domain read its debt after one call, and the engine or the
mark went by what it was after the next: the fee between counted as a loss, and was drawn beyond the line.
"""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.domains import DAY, LINE, ROLLUP, announce, debt, doubt, draw, locked, lose, opened, pay
from tests.support.helpers import reverts
from tests.support.savings import save

K = 1_000 * WAD
YEAR = 365 * DAY


@pytest.fixture
def made(new_protocol):
    return opened(new_protocol)


@pytest.fixture(params=[YEAR + 1, 5 * YEAR])
def wait(made, request):
    """What leaves the domain alone, with a fee of about 3% a year."""

    def go():
        made.do("VaultEngine.set_stability_fee", ROLLUP, 10**18, sender="admin")
        made.advance(request.param)

    return go


def charged(made):
    return made.table("VaultEngine", "ledger.debts", ROLLUP).accrued_at == made.timestamp


def test_the_doubt_is_the_announced_loss(made, wait):
    draw(made, 100 * K)
    wait()
    announce(made, K)
    assert charged(made)
    rate = made.table("VaultEngine", "ledger.debts", ROLLUP).accumulated_rate
    assert K * RAY <= doubt(made) < K * RAY + locked(made) + rate


def test_a_fee_is_no_loss(made, wait):
    draw(made, 100 * K)
    wait()
    made.do("Rollup.report", sender="stranger")
    assert charged(made)
    assert doubt(made) == 0


def test_the_line_holds_what_is_owed_by_now(made, wait):
    """Where notes are locked already, and the stages have covered a loss, the line alone stops a draw."""
    draw(made, LINE * WAD)
    save(made, "saver", 250 * K)
    lose(made, 100 * K)
    made.do("LossWaterfall.cover", ROLLUP, sender="stranger")
    pay(made, 740 * K)
    wait()
    with made.lockstep.imagine():
        while not charged(made):
            made.do("VaultEngine.accrue", ROLLUP, sender="stranger")
        room = LINE * WAD - 100 * K - -(-debt(made) // RAY)
    with reverts("domain: over its line"):
        draw(made, room + 1)
    draw(made, room - 1)
    assert charged(made)


def test_all_is_paid_back_at_once(made, wait):
    draw(made, 100 * K)
    made.give_stablecoin("receiver", 100 * K)
    wait()
    assert pay(made, 200 * K) > 103 * K
    assert debt(made) == 0


def test_all_is_lost_at_once(made, wait):
    draw(made, 100 * K)
    announce(made, 200 * K)
    wait()
    assert made.do("Rollup.realise_loss", sender="stranger") > 103 * K
    assert debt(made) == 0


def test_a_loss_is_the_announced_one(made, wait):
    draw(made, 100 * K)
    announce(made, K)
    wait()
    made.do("Rollup.realise_loss", sender="stranger")
    assert charged(made)
    rate = made.table("VaultEngine", "ledger.debts", ROLLUP).accumulated_rate
    assert 0 <= K * RAY - made.read("VaultEngine.deficit_of", ROLLUP) < rate
