"""convert, conversion_price: tokens become new equity, never under a price that is known."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.contracts.RecoveryClaims.conftest import MEMBERS, lose, move_to_workout, post_equity
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import create_recovery_claims_contract

CALL = "pool.Claims.convert"
PRICE = "pool.Claims.conversion_price"


def test_brings_equity_at_the_set_price(owed):
    assert owed.do(CALL, 100 * WAD, "stranger", sender="saver") == 25 * WAD
    assert owed.read("BSE.balanceOf", "stranger") == 25 * WAD
    assert owed.read("pool.Claims.balanceOf", "saver") == 200 * WAD
    assert owed.read("pool.Claims.tokens") == owed.read("pool.Claims.outstanding") == 300 * WAD
    converted = [log.values for log in owed.last.logs if log.event == "Converted"]
    saver, stranger = owed.address("saver"), owed.address("stranger")
    assert converted == [(saver, stranger, 100 * WAD, 25 * WAD)]


def test_counts_what_is_still_owed(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    assert owed.do(CALL, 100 * WAD, "saver", sender="saver") == 75 * WAD // 4
    assert owed.read("pool.Claims.cash", "saver") == 75 * WAD
    assert owed.read("pool.Claims.outstanding") == 225 * WAD


def test_is_rounded_down(owed):
    assert owed.do(CALL, 7, "saver", sender="saver") == 1
    with reverts("recovery_claims: worth nothing"):
        owed.do(CALL, 3, "saver", sender="saver")
    with reverts("recovery_claims: worth nothing"):
        owed.do(CALL, 0, "saver", sender="saver")


def test_a_single_token_is_enough_where_equity_is_cheap(protocol):
    create_recovery_claims_contract(protocol, "pool", conversion_price=RAY)
    post_equity(protocol, RAY)
    lose(protocol, 10)
    move_to_workout(protocol, "saver", MEMBERS, until=(0, 1))
    assert protocol.do(CALL, 1, "saver", sender="saver") == 1
    assert protocol.read("pool.Claims.outstanding") == 9


def test_the_others_are_owed_no_less(owed):
    owed.do("pool.Claims.repay", 123 * WAD + 7, sender="payer")
    for amount in (WAD, 10**6 + 1, 99 * WAD):
        tokens, owing = owed.read("pool.Claims.tokens"), owed.read("pool.Claims.outstanding")
        owed.do(CALL, amount, "saver", sender="saver")
        assert owed.read("pool.Claims.outstanding") * tokens >= owing * owed.read("pool.Claims.tokens")


def test_converting_all_ends_the_generation(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    owed.do("pool.Claims.transfer", "saver", 100 * WAD, sender="neighbour")
    assert owed.do(CALL, 400 * WAD, "saver", sender="saver") == 75 * WAD
    assert owed.read("pool.Claims.generation") == 1
    assert owed.read("pool.Claims.cash_of", "saver", 0) == 75 * WAD
    assert owed.read("pool.Claims.cash_of", "neighbour", 0) == 25 * WAD
    lose(owed, 5)
    assert owed.last.logs[0].values == (1, 5, 5)


def test_only_what_one_has(owed):
    for who, amount in (("stranger", 1), ("saver", 300 * WAD + 1), ("saver", MAX_UINT256)):
        with reverts("shares: balance too small"):
            owed.do(CALL, amount, who, sender=who)


def test_never_under_the_next_price(owed):
    assert owed.read(PRICE) == 4 * RAY
    post_equity(owed, 4 * RAY + 1)
    assert owed.read("PriceFeed.current_price", EQUITY_MARKET) == RAY
    assert owed.read(PRICE) == 4 * RAY + 1
    assert owed.do(CALL, 100 * WAD, "saver", sender="saver") == 100 * WAD * RAY // (4 * RAY + 1)


def test_never_under_the_current_price(owed):
    post_equity(owed, 20 * RAY, 5 * RAY)
    assert owed.read("PriceFeed.time_weighted", EQUITY_MARKET) < 5 * RAY
    assert owed.read(PRICE) == 20 * RAY


def test_never_under_the_average(owed):
    post_equity(owed, *[20 * RAY] * 5, RAY, RAY)
    average = owed.read("PriceFeed.time_weighted", EQUITY_MARKET)
    assert owed.read("PriceFeed.prices_of", EQUITY_MARKET)[:2] == (RAY, RAY)
    assert 4 * RAY < average == owed.read(PRICE)
    assert owed.do(CALL, 100 * WAD, "saver", sender="saver") == 100 * WAD * RAY // average


def test_never_under_what_a_halt_holds_back(owed):
    owed.do("PriceFeed.set_halted", EQUITY_MARKET, True, sender="admin")
    post_equity(owed, 20 * RAY)
    assert owed.read("PriceFeed.prices_of", EQUITY_MARKET)[:2] == (RAY, 0)
    assert owed.read(PRICE) == 20 * RAY


def test_not_while_nobody_knows_what_equity_is_worth(owed):
    owed.advance(14_400)
    assert owed.read(PRICE) == 4 * RAY
    owed.advance(1)
    assert owed.read(PRICE) == 0
    with reverts("recovery_claims: no price"):
        owed.do(CALL, 100 * WAD, "saver", sender="saver")


def test_a_feed_that_never_comes_back_stops_nobody_for_ever(owed):
    """Its last price counts again, as in auctions."""
    owed.do("PriceFeed.set_guards", EQUITY_MARKET, 0, 1, 0, 86_400, sender="admin")
    owed.advance(14_400 + 86_400)
    with reverts("recovery_claims: no price"):
        owed.do(CALL, 100 * WAD, "saver", sender="saver")
    owed.advance(1)
    assert owed.do(CALL, 100 * WAD, "saver", sender="saver") == 25 * WAD


def test_off_without_a_set_price(protocol):
    create_recovery_claims_contract(protocol, "pool")
    assert protocol.read("pool.Claims.conversion_price") == 0
    with reverts("recovery_claims: no conversion"):
        protocol.do(CALL, 1, "saver", sender="saver")


@pytest.mark.parametrize("tokens", [1, WAD], ids=str)
def test_without_any_loss_there_is_nothing_to_convert(claims, tokens):
    with reverts("shares: balance too small"):
        claims.do(CALL, tokens, "saver", sender="saver")
