"""A crash larger than everything put by: buffer, reserve, savers up to their cap, and later income."""

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.ledger_reading_steps import (
    BUFFER,
    RESERVE,
    SAVINGS,
    WBTC,
    XAU,
    cover_losses,
    earn_penalty,
    read_buffer,
    read_deficit,
    read_loss_event,
    read_reserve,
    read_savings_assets,
)
from tests.support.saver_steps import deposit_savings, lose_new_vault

YEAR = 365 * 86_400
LOSS = 50_000 * RAD
# Half of the pool, but for the million wei that it keeps.
HAIRCUT = 25_000 * WAD


def crash(quiet):
    """Two savers, 1,300 in gold's buffer, some fees in the reserve; then 50,000 of gold's debt is lost."""
    protocol = quiet(epoch_length=YEAR)
    deposit_savings(protocol, "saver", 40_000 * WAD)
    deposit_savings(protocol, "neighbour", 10_000 * WAD)
    protocol.do("VaultEngine.set_stability_fee", WBTC, 627_937_192_491_029_810, sender="admin")
    protocol.earn_fees("WBTC")  # 2% on 20,000, half of it to the reserve
    assert -(-read_reserve(protocol) // RAD) == 200
    earn_penalty(protocol, "XAU", 10_000 * WAD)
    assert lose_new_vault(protocol, "XAU", LOSS // RAY) == LOSS
    return protocol


def test_in_order_up_to_the_caps_and_the_rest_is_outstanding(quiet):
    protocol = crash(quiet)
    put_by, fees = read_reserve(protocol), read_buffer(protocol, WBTC)
    assert read_buffer(protocol, XAU) == 1_300 * RAD
    assert cover_losses(protocol, XAU) == {BUFFER: 1_300 * RAD, RESERVE: put_by, SAVINGS: HAIRCUT * RAY}
    assert read_buffer(protocol, XAU) == read_reserve(protocol) == 0
    assert read_buffer(protocol, WBTC) == fees
    assert read_savings_assets(protocol) == 50_000 * WAD - HAIRCUT
    left = LOSS - 1_300 * RAD - put_by - HAIRCUT * RAY
    assert read_deficit(protocol, XAU) == read_loss_event(protocol, XAU).outstanding == left
    # Nobody who is capped pays twice.
    assert cover_losses(protocol, XAU) == {}
    assert read_deficit(protocol, XAU) == left


def test_savers_lose_in_proportion(quiet):
    protocol = crash(quiet)
    shares = {who: protocol.read("Savings.balanceOf", who) for who in ("saver", "neighbour")}
    before = {who: protocol.read("Savings.convertToAssets", each) for who, each in shares.items()}
    assert before == {"saver": 40_000 * WAD, "neighbour": 10_000 * WAD}
    cover_losses(protocol, XAU)
    lost = {who: before[who] - protocol.read("Savings.convertToAssets", each) for who, each in shares.items()}
    assert lost["saver"] == 20_000 * WAD
    assert lost["neighbour"] == 5_000 * WAD
    assert sum(lost.values()) == HAIRCUT
    # What is still outstanding may reach savers in later epochs: who leaves now leaves that behind.
    pending = protocol.read("Savings.pending_losses")
    assert pending == -(-read_deficit(protocol, XAU) // RAY)


def test_later_income_repays_what_is_outstanding(quiet):
    protocol = crash(quiet)
    cover_losses(protocol, XAU)
    left, after_haircut = read_deficit(protocol, XAU), read_savings_assets(protocol)
    # A little income repays a little.
    earn_penalty(protocol, "XAU", 10_000 * WAD)
    assert cover_losses(protocol, XAU) == {BUFFER: 1_300 * RAD}
    assert read_deficit(protocol, XAU) == left - 1_300 * RAD
    # A lot of it repays the rest, and the buffer keeps what is over.
    earn_penalty(protocol, "XAU", 200_000 * WAD)
    assert cover_losses(protocol, XAU) == {BUFFER: left - 1_300 * RAD}
    assert get_only_event_values(protocol, "LossCovered", "LossWaterfall")[2:] == (BUFFER, left - 1_300 * RAD)
    assert read_buffer(protocol, XAU) == 26_000 * RAD - (left - 1_300 * RAD)
    assert read_deficit(protocol, XAU) == protocol.read("Savings.pending_losses") == 0
    assert not protocol.table("VaultEngine", "ledger.debts", XAU).distressed
    # The haircut is final: savers are not paid back, and not asked again.
    assert read_savings_assets(protocol) == after_haircut == 50_000 * WAD - HAIRCUT
