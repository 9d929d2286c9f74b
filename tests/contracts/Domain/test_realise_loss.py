"""realise_loss: the lower of the announced loss and the debt becomes a deficit, in one call."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auctions import event, stablecoins
from tests.support.domains import DAY, ROLLUP, announce, debt, deficit, doubt, locked, lose, pay
from tests.support.helpers import reverts
from tests.support.settling import begin

K = 1_000 * WAD


def test_books_what_was_announced(owing):
    assert lose(owing, 30 * K + 7) == 30 * K + 7
    assert event(owing, "LossRealised", "Rollup") == (30 * K + 7,)
    assert event(owing, "WrittenDown", "LiquidationEngine") == (
        ROLLUP,
        owing.address("Rollup"),
        (30 * K + 7) * RAY,
    )
    assert deficit(owing) == (30 * K + 7) * RAY
    assert debt(owing) == (70 * K - 7) * RAY
    assert owing.read("Rollup.lost") == 30 * K + 7


def test_no_doubt_and_no_announcement_are_left(owing):
    lose(owing, 30 * K)
    assert doubt(owing) == 0
    assert tuple(owing.read("Rollup.announcement")) == (0, 0)
    assert owing.read("PriceFeed.current_price", ROLLUP) == RAY
    assert owing.read("VaultEngine.in_auction_of", ROLLUP) == 0
    with reverts("domain: no loss"):
        owing.do("Rollup.realise_loss", sender="stranger")


def test_nobody_is_rewarded_and_no_auction_is_left(owing):
    lose(owing, 30 * K)
    assert owing.read("CollateralAuction.last_id") == 0
    assert stablecoins(owing, "stranger") == 0
    assert owing.read("Stablecoin.totalSupply") == 100 * K


@pytest.mark.parametrize("announced", [100 * K, 100 * K + 1, 2**128 - 1])
def test_never_more_than_the_debt(owing, announced):
    assert lose(owing, announced) == 100 * K
    assert debt(owing) == 0
    assert deficit(owing) == 100 * K * RAY


def test_what_was_repaid_meanwhile_is_no_loss(owing):
    announce(owing, 100 * K)
    pay(owing, 80 * K)
    owing.advance(DAY)
    assert owing.do("Rollup.realise_loss", sender="stranger") == 20 * K


def test_after_the_delay_to_the_second(owing):
    announce(owing, K)
    owing.advance(DAY - 1)
    with reverts("domain: too early"):
        owing.do("Rollup.realise_loss", sender="stranger")
    owing.advance(1)
    owing.do("Rollup.realise_loss", sender="stranger")


def test_without_debt_there_is_nothing_to_lose(owing):
    """And the domain goes on."""
    announce(owing, K)
    pay(owing, 100 * K)
    owing.advance(DAY)
    assert owing.do("Rollup.realise_loss", sender="stranger") == 0
    assert deficit(owing) == owing.read("Rollup.lost") == 0
    owing.do("Rollup.draw", K, "receiver", sender="bridge")


def test_notes_of_what_was_lost_serve_again(owing):
    lose(owing, 30 * K)
    owing.do("Rollup.draw", 30 * K, "receiver", sender="bridge")
    assert locked(owing) == 100 * K


def test_at_a_rate_above_one_only_whole_units_are_written_down(owing):
    """A fee is the admin's to set, though a domain has none."""
    owing.do("VaultEngine.set_stability_fee", ROLLUP, 10**19, sender="admin")
    owing.advance(DAY)
    announce(owing, 10 * K)
    owing.advance(DAY)
    owing.do("VaultEngine.accrue", ROLLUP, sender="stranger")
    rate = owing.read("VaultEngine.debts_of", ROLLUP).accumulated_rate
    lost = owing.do("Rollup.realise_loss", sender="stranger")
    principal = 10 * K * RAY // rate * rate
    assert deficit(owing) == principal < 10 * K * RAY
    assert lost == -(-principal // RAY)


def test_the_stops_of_auctions_do_not_hold_it_back(owing):
    owing.do("VaultEngine.set_global_auction_limit", 0, sender="admin")
    assert lose(owing, K) == K


def test_in_settlement_it_still_reaches_the_stages(owing):
    announce(owing, 30 * K)
    begin(owing)
    assert owing.do("Rollup.realise_loss", sender="stranger") == 30 * K
