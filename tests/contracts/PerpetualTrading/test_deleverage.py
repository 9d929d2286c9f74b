"""deleverage: for the closer alone."""

from backstop.model.arithmetic import WAD
from backstop.model.price_path import SHORT
from tests.support.helpers import reverts
from tests.support.perpetuals import ETH, TRADING, deploy_perpetuals, make_long_insolvent


def test_is_for_the_closer_alone(new_protocol):
    market = make_long_insolvent(deploy_perpetuals(new_protocol, third_bond=WAD, policy="ranked"))
    for sender in ("stranger", "admin", "small"):
        args = (ETH, SHORT, (market.at("small"),), (1,), market.at(sender), market.at(sender))
        with reverts("trading: not the closer"):
            market.do(f"{TRADING}.deleverage", *args, sender=sender)


def test_is_for_nobody_where_there_is_none(crowd):
    with reverts("trading: not the closer"):
        keeper = crowd.at("keeper")
        crowd.do(f"{TRADING}.deleverage", ETH, SHORT, (), (), keeper, keeper, sender="keeper")
