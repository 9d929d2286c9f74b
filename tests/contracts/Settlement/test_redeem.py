"""redeem: stablecoin into a bag, once for all collateral."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "Settlement.redeem"


def test_burns_and_fills_the_bag(fixed):
    supply, held = fixed.read("Stablecoin.totalSupply"), read_stablecoins(fixed, "holder")
    fixed.do(CALL, 1_000 * WAD, sender="holder")
    assert get_only_event_values(fixed, "Redeemed", "Settlement") == (fixed.address("holder"), 1_000 * WAD)
    fixed.do(CALL, 500 * WAD, sender="holder")
    assert fixed.read("Settlement.bag_of", "holder") == 1_500 * WAD
    assert read_stablecoins(fixed, "holder") == held - 1_500 * WAD
    assert fixed.read("Stablecoin.totalSupply") == supply - 1_500 * WAD
    assert fixed.read("VaultEngine.settled") == (supply - 1_500 * WAD) * RAY


def test_down_to_nothing(fixed):
    for who in ("holder", "borrower", "neighbour", "third"):
        fixed.do(CALL, read_stablecoins(fixed, who), sender=who)
    assert fixed.read("Stablecoin.totalSupply") == fixed.read("VaultEngine.settled") == 0


def test_shares_stay_what_they_are(fixed):
    shares = [fixed.read("Settlement.share_of", c) for c in range(3)]
    fixed.do(CALL, 1_000 * WAD, sender="holder")
    assert [fixed.read("Settlement.share_of", c) for c in range(3)] == shares


def test_no_more_than_one_has(fixed):
    with reverts("erc20: burn amount exceeds balance"):
        fixed.do(CALL, read_stablecoins(fixed, "holder") + 1, sender="holder")


def test_an_absurd_amount(fixed):
    fixed.do(CALL, 1, sender="holder")
    for amount in (2**256 - 1, 2**255):
        with reverts(""):
            fixed.do(CALL, amount, sender="holder")


def test_not_before_the_books_are_closed(skimmed):
    with reverts("settlement: not fixed"):
        skimmed.do(CALL, WAD, sender="holder")
