"""accrue: the fee compounds by the second, is shared between buffer and reserve, and never reverts."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts

WETH = 0
FIVE_PERCENT_A_DAY = 564701133626865910626  # 1.000000564701133626865910626 a second


def test_is_open_to_anyone_and_refuses_an_unknown_type(protocol):
    assert protocol.do("VaultEngine.accrue", WETH, sender="stranger") >= RAY
    with reverts("terms: unknown type"):
        protocol.do("VaultEngine.accrue", 31, sender="stranger")


def test_a_fee_is_shared_between_buffer_and_reserve(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.do("VaultEngine.set_buffer_share", WETH, 2_500, sender="admin")
    buffer, reserve = protocol.read("VaultEngine.buffer_of", WETH), protocol.read("VaultEngine.reserve")
    debts = protocol.read("VaultEngine.debts_of", WETH)
    protocol.advance(86_400)
    rate = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    earned = debts[0] * (rate - debts[1])
    assert earned > 0
    assert protocol.read("VaultEngine.buffer_of", WETH) - buffer == earned // 4
    assert protocol.read("VaultEngine.reserve") - reserve == earned - earned // 4


def test_the_least_fee_is_charged_as_well(protocol):
    protocol.do("VaultEngine.set_stability_fee", WETH, 1, sender="admin")
    rate = protocol.read("VaultEngine.debts_of", WETH)[1]
    protocol.advance(1_000)
    assert protocol.do("VaultEngine.accrue", WETH, sender="stranger") == rate + 1_000 * rate // RAY


def test_twice_in_one_block_changes_nothing(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.advance(86_400)
    first = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    reserve = protocol.read("VaultEngine.reserve")
    assert protocol.do("VaultEngine.accrue", WETH, sender="stranger") == first
    assert protocol.read("VaultEngine.reserve") == reserve


def test_years_are_charged_at_once_and_as_if_somebody_had_called_every_year(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    at = protocol.read("VaultEngine.debts_of", WETH)[2]
    protocol.advance(at + 365 * 86_400 - protocol.timestamp)
    with protocol.lockstep.fork_state():
        for _ in range(2):
            protocol.do("VaultEngine.accrue", WETH, sender="stranger")
            protocol.advance(365 * 86_400)
        protocol.advance(777)
        yearly = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    protocol.advance(2 * 365 * 86_400 + 777)
    assert protocol.do("VaultEngine.accrue", WETH, sender="stranger") == yearly
    assert protocol.read("VaultEngine.debts_of", WETH)[2] == protocol.timestamp


@pytest.mark.parametrize("years", [5, 79])
def test_no_idle_time_is_too_long_for_the_highest_fee(protocol, years):
    """It ends at the maximum of the rate's field, or of the type's debt: not beyond, and without a revert."""
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.do("VaultEngine.set_stability_fee", WETH, 7 * 10**19, sender="admin")
    protocol.advance(years * 365 * 86_400 + 86_400)
    assert protocol.do("VaultEngine.accrue", WETH, sender="stranger") == 2**104 - 1
    assert protocol.read("VaultEngine.debts_of", WETH)[2] == protocol.timestamp


def test_what_a_type_without_debt_has_not_charged_nobody_pays_later(protocol):
    protocol.do("VaultEngine.set_stability_fee", WETH, 7 * 10**18, sender="admin")
    protocol.advance(4 * 365 * 86_400)
    protocol.post_price("WETH", 2_000 * RAY)
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    owed = protocol.read("VaultEngine.total_debt")
    protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    assert protocol.read("VaultEngine.total_debt") == owed < 6_000 * RAD + 10**30


def test_never_reverts_and_stops_at_the_caps(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    protocol.do("VaultEngine.set_stability_fee", WETH, 7 * 10**19, sender="admin")
    for _ in range(40):
        protocol.advance(365 * 86_400)
        protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    debts = protocol.read("VaultEngine.debts_of", WETH)
    assert debts[1] == 2**104 - 1
    assert debts[0] * debts[1] < 2**181


def test_a_debt_stops_growing_at_the_largest_a_type_may_owe(protocol):
    protocol.do("VaultEngine.set_debt_ceiling", WETH, 10**9, sender="admin")
    protocol.do("VaultEngine.set_global_debt_ceiling", 8 * 10**9, sender="admin")
    protocol.borrow("borrower", "WETH", 10**7 * WAD, 9 * 10**8 * WAD)
    protocol.do("VaultEngine.set_stability_fee", WETH, 7 * 10**19, sender="admin")
    for _ in range(3):
        protocol.advance(365 * 86_400)
        protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    debts = protocol.read("VaultEngine.debts_of", WETH)
    assert 2**181 - debts[0] <= debts[0] * debts[1] < 2**181


def test_the_largest_debt_is_under_its_bound_to_the_last_rad(protocol):
    """A normalized debt that divides 2**181 would reach it exactly."""
    protocol.do("VaultEngine.set_debt_ceiling", WETH, 10**9, sender="admin")
    protocol.do("VaultEngine.set_global_debt_ceiling", 8 * 10**9, sender="admin")
    rate = protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    protocol.borrow("borrower", "WETH", 10**7 * WAD, 2**80 * rate // RAY)
    assert protocol.read("VaultEngine.debts_of", WETH)[0] == 2**80
    protocol.do("VaultEngine.set_stability_fee", WETH, 7 * 10**19, sender="admin")
    for _ in range(5):
        protocol.advance(365 * 86_400)
        protocol.do("VaultEngine.accrue", WETH, sender="stranger")
    assert protocol.read("VaultEngine.debts_of", WETH)[1] == 2**101 - 1


def test_published_example_of_compounding(protocol):
    """5% a day on a debt of 10,000: 500 after one day, 1,025 after two, 1,576.25 after three."""
    protocol.borrow("borrower", "WETH", 100 * WAD, 10_000 * WAD)
    protocol.do("VaultEngine.set_stability_fee", WETH, FIVE_PERCENT_A_DAY // 1000, sender="admin")
    at = protocol.read("VaultEngine.debts_of", WETH)[2]
    protocol.advance(at + 86_400 - protocol.timestamp)
    rate = protocol.read("VaultEngine.debts_of", WETH)[1]
    assert protocol.do("VaultEngine.accrue", WETH, sender="stranger") > rate
    assert protocol.read("VaultEngine.total_debt") > 10_000 * RAD
