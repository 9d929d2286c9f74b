"""deleverage: for the closer alone."""

from backstop.model.arithmetic import WAD
from backstop.model.price_path import SHORT
from tests.support.perpetual_test_market import ETH, TRADING, deploy_perpetuals, open_and_bankrupt_long
from tests.support.revert_setter_and_source_helpers import reverts


def test_is_for_the_closer_alone(new_protocol):
    market = open_and_bankrupt_long(deploy_perpetuals(new_protocol, third_bond=WAD, policy="ranked"))
    for sender in ("stranger", "admin", "small"):
        args = (
            ETH,
            SHORT,
            (market.get_contract_or_account_address("small"),),
            (1,),
            market.get_contract_or_account_address(sender),
            market.get_contract_or_account_address(sender),
        )
        with reverts("trading: not the closer"):
            market.do(f"{TRADING}.deleverage", *args, sender=sender)


def test_is_for_nobody_where_there_is_none(crowd):
    with reverts("trading: not the closer"):
        keeper = crowd.get_contract_or_account_address("keeper")
        crowd.do(f"{TRADING}.deleverage", ETH, SHORT, (), (), keeper, keeper, sender="keeper")
