"""gains_of, cycle_of, mark_of, reward: the views for deleveraging, and the rewards that are paid."""

from backstop.model.arithmetic import WAD
from backstop.proof.local_protocol import LocalProtocol
from backstop.proof.lockstep import ProtocolLockstep
from tests.support.perpetual_test_market import BTC, ETH, HOUSE, deploy_perpetuals, open_and_bankrupt_long
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import report_until_final_prices_exist, start_settlement


def test_gains_are_of_the_pending_cycle_and_stay(market):
    crash = open_and_bankrupt_long(market)
    cycle = crash.market.clocks[()].cycle - 1
    assert crash.read(f"{HOUSE}.cycle_of", ETH, cycle)[0] == (0, 4_000 * WAD)
    assert crash.read(f"{HOUSE}.cycle_of", BTC, cycle)[0] == (0, 0)
    found = crash.do(
        f"{HOUSE}.gains_of", crash.get_contract_or_account_address("small"), ETH, sender="stranger"
    )
    assert found == (cycle, 0, 1_200 * WAD, 2_700 * WAD)
    crash.deposit("small", 10_000 * WAD)
    crash.mark(ETH, 12 * WAD)
    assert (
        crash.do(f"{HOUSE}.gains_of", crash.get_contract_or_account_address("small"), ETH, sender="stranger")
        == found
    )
    assert crash.read(f"{HOUSE}.mark_of", ETH) == 12 * WAD


def test_rewards_are_the_desks_to_give(market):
    with reverts("perpetuals: not trading"):
        market.do(f"{HOUSE}.reward", market.get_contract_or_account_address("stranger"), 1, sender="stranger")


def test_no_more_is_given_than_bonds_have_left(market):
    """Here the trading contract is an account that the test can call from."""
    market.create_market("Own", market.get_contract_or_account_address("desk"))
    with reverts(""):
        market.do("Own.reward", market.get_contract_or_account_address("finder"), 1, sender="desk")


def test_what_nobody_has_got_is_insurance_in_the_end(new_protocol):
    market = open_and_bankrupt_long(deploy_perpetuals(new_protocol, third_bond=5 * WAD))
    fees = market.read(f"{HOUSE}.fees")
    assert market.read(f"{HOUSE}.rewards") == 5 * WAD
    assert isinstance(market.system, ProtocolLockstep)
    start_settlement(LocalProtocol(market.system))
    report_until_final_prices_exist(LocalProtocol(market.system))
    market.do(f"{HOUSE}.end_market", ETH, sender="stranger")
    assert market.read(f"{HOUSE}.rewards") == 0 and market.read(f"{HOUSE}.fees") - fees == 5 * WAD


def test_more_than_can_be_counted_is_not_brought(market):
    with reverts("price_path: beyond all figures"):
        market.do(f"{HOUSE}.deposit", market.get_contract_or_account_address("rich"), 2**117, sender="rich")
