"""transferFrom: on an allowance."""

from tests.support.revert_setter_and_source_helpers import reverts


def test_an_allowance_is_spent(members):
    ann, bob, carl = (members.market.get_contract_or_account_address(name) for name in ("ann", "bob", "carl"))
    with reverts("shares: allowance too small"):
        members.do("transferFrom", ann, bob, 1, sender="carl")
    members.do("approve", carl, 7, sender="ann")
    had = members.shares("bob")
    assert members.do("transferFrom", ann, bob, 5, sender="carl") is True
    assert members.shares("bob") == had + 5 and members.read("allowance", ann, carl) == 2
