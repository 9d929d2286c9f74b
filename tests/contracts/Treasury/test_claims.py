"""distribute, with claims: they are repaid before the reserve's target is met, the most senior first."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.equity_steps import read_last_call_events
from tests.support.saver_steps import earn_year_of_high_fees

NAME = "Treasury"


def claims(protocol):
    return [protocol.read(f"{pool}.Claims.outstanding") for pool in ("Savings", "Junior")]


def distribute(protocol):
    return protocol.do(f"{NAME}.distribute", sender="stranger")


def test_the_most_senior_first(claimants):
    assert claimants.read(f"{NAME}.claims") == tuple(
        claimants.address(f"{pool}.Claims") for pool in ("Savings", "Junior")
    )
    owed, reserve = claims(claimants), claimants.read("VaultEngine.reserve")
    assert 0 < reserve // RAY < owed[0]
    paid = distribute(claimants)
    assert read_last_call_events(claimants, "ClaimsRepaid", NAME) == [
        (claimants.address("Savings.Claims"), paid)
    ]
    # All of the reserve, whatever its target.
    assert paid == reserve // RAY
    assert claims(claimants) == [owed[0] - paid, owed[1]]
    assert claimants.read("VaultEngine.reserve") == reserve % RAY
    assert claimants.read("Stablecoin.balanceOf", NAME) == 0
    assert claimants.read("Stablecoin.allowance", NAME, "Savings.Claims") == 0
    assert claimants.read(f"{NAME}.for_sale") == 0


def test_then_the_next_then_the_pools(claimants):
    while sum(claims(claimants)):
        owed, reserve = claims(claimants), claimants.read("VaultEngine.reserve") // RAY
        distribute(claimants)
        first = min(owed[0], reserve)
        second = min(owed[1], reserve - first)
        assert claims(claimants) == [owed[0] - first, owed[1] - second]
        if owed[0] > reserve:
            assert not read_last_call_events(claimants, "IncomeShared", NAME)
        last = reserve - first - second
        earn_year_of_high_fees(claimants)
    new = last - 1_000 * WAD
    assert claimants.read(f"{NAME}.for_sale") == new - new * 2_500 // 10_000 > 0


def test_without_claims_nobody_is_repaid(claimants):
    while sum(claims(claimants)):
        distribute(claimants)
        earn_year_of_high_fees(claimants)
    distribute(claimants)
    assert not read_last_call_events(claimants, "ClaimsRepaid", NAME)
    assert read_last_call_events(claimants, "IncomeShared", NAME)
