"""transfer: shares, but not those that are committed."""

from backstop.contract_base import ZERO_ADDRESS
from tests.support.market_with_pool import POOL
from tests.support.revert_setter_and_source_helpers import reverts


def test_shares_move_at_any_time(offered):
    offered.take_unassigned_lots(1_000)
    carl, had = offered.market.get_contract_or_account_address("carl"), offered.shares("bob")
    assert offered.do("transfer", carl, 5, sender="bob") is True
    assert (offered.shares("bob"), offered.shares("carl")) == (had - 5, 5)


def test_not_what_is_committed_and_not_to_nobody(members):
    members.request("bob")
    with reverts("shares: balance too small"):
        members.do("transfer", members.market.get_contract_or_account_address("carl"), 1, sender="bob")
    for to in (ZERO_ADDRESS, members.market.get_contract_or_account_address(POOL)):
        with reverts("shares: bad receiver"):
            members.do("transfer", to, 1, sender="ann")
