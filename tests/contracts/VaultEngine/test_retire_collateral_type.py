"""retire_collateral_type: an unused type is taken off the list, and its id is never used again."""

from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import MAX_TYPES
from backstop.model.listed_types import decode_listed_types
from tests.support.auction_steps import TERMS, list_token
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "VaultEngine.retire_collateral_type"


def listed(protocol):
    return decode_listed_types(protocol.read("VaultEngine.listed"))


def test_any_of_them_and_the_others_stay_in_order(protocol):
    for symbol in ("ONE", "TWO"):
        list_token(protocol, symbol, 18, RAY, TERMS)
    for gone, left in ((3, [0, 1, 2, 4]), (0, [1, 2, 4]), (4, [1, 2])):
        protocol.do(CALL, gone, sender="admin")
        assert [log.values for log in protocol.last.logs] == [(gone,)]
        assert listed(protocol) == left
    assert protocol.read("VaultEngine.collateral_types") == 5
    assert list_token(protocol, "NEXT", 18, RAY) == 5
    assert listed(protocol) == [1, 2, 5]


def test_it_is_for_the_admin_once_and_for_what_is_listed(protocol):
    with reverts("roles: not admin"):
        protocol.do(CALL, 0, sender="guardian")
    for unknown in (3, 2**256 - 1):
        with reverts("terms: unknown type"):
            protocol.do(CALL, unknown, sender="admin")
    protocol.do(CALL, 0, sender="admin")
    with reverts("ledger: in settlement"):
        protocol.do(CALL, 0, sender="admin")


def test_ids_end_at_224(protocol):
    """The last one works as the first does; the model alone knows the remaining ids."""
    protocol.mint_and_approve_collateral("WETH", "admin", WAD)
    c = 2
    for c in range(3, MAX_TYPES):
        protocol.do("VaultEngine.add_collateral_type", "WETH", 14_500, 15_000, sender="admin")
        if c != MAX_TYPES - 1:
            protocol.do(CALL, c, sender="admin")
    with reverts("terms: too many types"):
        protocol.do("VaultEngine.add_collateral_type", "WETH", 14_500, 15_000, sender="admin")
    protocol.do("CollateralAuction.add_terms", c, *TERMS, sender="admin")
    protocol.do("VaultEngine.set_debt_ceiling", c, 10**6, sender="admin")
    protocol.do("VaultEngine.set_auction_limit", c, 10**6, sender="admin")
    reporters = tuple(f"reporter_{i + 1}" for i in range(3))
    protocol.do("PriceFeed.set_market", c, reporters, 3, 3_600, 7_200, 14_400, 3_600, sender="admin")
    for price in (2_000 * RAY, 1_500 * RAY, 1_500 * RAY):
        protocol.advance(3_600)
        for reporter in reporters:
            protocol.do("PriceFeed.report", c, price, sender=reporter)
        protocol.do("PriceFeed.poke", c, sender="stranger")
        if price == 2_000 * RAY:
            protocol.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
            drawn = c, "borrower", 10 * WAD, 13_000 * WAD, "borrower"
            protocol.do("VaultEngine.deposit_and_draw", *drawn, sender="borrower")
    id = protocol.do("LiquidationEngine.liquidate", c, "borrower", "keeper", sender="keeper")
    assert protocol.read("CollateralAuction.auction_of", id).collateral_type == c == 223
