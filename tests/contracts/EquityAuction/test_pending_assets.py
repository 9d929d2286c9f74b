"""pending_assets: the equity that losses would take, beyond the amount already under auction."""

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.equity_steps import (
    XAU,
    build_equity_parameters,
    post_prices_and_fund_people,
    take_from_equity_auction,
)
from tests.support.revert_setter_and_source_helpers import reverts

NAME = "MintAuction"


def up(a, b):
    return -(-a // b)


def test_at_the_floor(priced):
    assert priced.read(f"{NAME}.pending_assets", 0) == 0
    assert priced.read(f"{NAME}.pending_assets", 80 * RAD) == WAD
    assert priced.read(f"{NAME}.pending_assets", 80 * RAD + 1) == WAD + 1
    assert priced.read(f"{NAME}.pending_assets", 1) == 1


def test_under_auction(auction):
    before = auction.read(f"{NAME}.under_auction")
    assert before == auction.read(f"{NAME}.auction_of", XAU).lot
    take_from_equity_auction(auction, WAD)
    # It was sold for three times the floor.
    assert auction.read(f"{NAME}.under_auction") == before - 3 * WAD
    take_from_equity_auction(auction)
    assert auction.read(f"{NAME}.under_auction") == 0


def test_without_a_price(new_protocol):
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("minted_equity", "savings")), equity_price=None
    )
    assert made.read(f"{NAME}.pending_assets", 0) == 0
    with reverts("equity_auction: no price"):
        made.read(f"{NAME}.pending_assets", RAY)
