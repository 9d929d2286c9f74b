"""pay_protocol, coins_due: the protocol gets coins for amounts covered by stages, none for claimed ones."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.adapter_steps import (
    ADAPTER,
    UNIT,
    USD,
    book_deficit,
    cover_deficit,
    deposit_coins,
    read_coins,
    read_deficit,
)
from tests.support.auction_steps import get_only_event_values
from tests.support.settlement_steps import start_settlement

K = 1_000 * USD


def test_what_the_pool_has_covered(insured):
    book_deficit(insured, 50 * K)
    assert read_deficit(insured) == 50_000 * WAD
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 0  # nobody has paid yet
    assert cover_deficit(insured) == 50_000 * WAD * RAY
    assert insured.read(f"{ADAPTER}.coins_due") == 50 * K
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 50 * K
    assert get_only_event_values(insured, "ProtocolPaid", ADAPTER) == (50 * K,)
    assert read_coins(insured, "lender") == 50 * K
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 0


def test_a_fraction_of_a_coin_stays(insured):
    """An account pays a wei of the facilitator's debt: a coin for the rest of that unit is still claimed."""
    insured.do("Stablecoin.approve", "Lender", 2 * UNIT, sender="holder")
    insured.do("Lender.repay", 1, sender="holder")
    assert insured.read(f"{ADAPTER}.coins_due") == 0
    insured.do("Lender.repay", UNIT - 1, sender="holder")
    assert insured.read(f"{ADAPTER}.coins_due") == 1


def test_what_the_reserve_has_is_claimed(insured):
    """Stablecoin that was recovered beyond the deficit is the reserve's: the treasury pays it out later."""
    book_deficit(insured, 10 * K)
    cover_deficit(insured)
    insured.do(f"{ADAPTER}.pay_protocol", sender="stranger")
    insured.do("Stablecoin.approve", "Lender", 5_000 * WAD, sender="holder")
    insured.do("Lender.recover", 5_000 * WAD, sender="holder")
    assert insured.read("VaultEngine.reserve") == 5_000 * WAD * RAY
    assert insured.read(f"{ADAPTER}.coins_due") == 0


def test_coins_that_somebody_gives(insured):
    insured.do("USDX.mint", ADAPTER, 3, sender="stranger")
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 3


def test_what_is_covered_in_settlement(insured):
    book_deficit(insured, 50 * K)
    start_settlement(insured)
    cover_deficit(insured)
    assert insured.do(f"{ADAPTER}.pay_protocol", sender="stranger") == 50 * K


def test_a_fraction_of_a_wei_in_the_reserve_is_claimed(adapted):
    """The reserve has less than a wei, from a fee too low for use: a unit of the coin stays for it."""
    deposit_coins(adapted, 1)
    adapted.do("VaultEngine.set_stability_fee", 0, 1, sender="admin")
    adapted.advance(1)
    adapted.do("VaultEngine.accrue", 0, sender="stranger")
    assert 0 < adapted.read("VaultEngine.reserve") + adapted.read("VaultEngine.buffer_of", 0) < RAY
    adapted.do("USDX.mint", ADAPTER, 5, sender="stranger")
    assert adapted.read(f"{ADAPTER}.coins_due") == 4
