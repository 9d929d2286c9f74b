"""set_debt_ceiling: binds draws only, in whole stablecoins."""

from backstop.evm_crypto import keccak256
from backstop.model.arithmetic import RAY
from tests.support.auction_steps import TERMS, list_token
from tests.support.revert_setter_and_source_helpers import check_setter, reverts

CEILINGS = keccak256(b"CEILINGS")


def test_is_bounded_logged_and_for_the_admin_only(protocol):
    check_setter(
        protocol,
        "VaultEngine.set_debt_ceiling",
        target=0,
        highest=10**9,
        reason="terms: out of bounds",
    )


def test_the_role_of_ceilings_may_set_it_within_the_same_bounds(protocol):
    protocol.do("VaultEngine.grant_role", CEILINGS, "keeper", sender="admin")
    protocol.do("VaultEngine.set_debt_ceiling", 0, 7, sender="keeper")
    assert protocol.read("VaultEngine.terms_of", 0).debt_ceiling == 7
    with reverts("terms: out of bounds"):
        protocol.do("VaultEngine.set_debt_ceiling", 0, 10**9 + 1, sender="keeper")
    with reverts("terms: unknown type"):
        protocol.do("VaultEngine.set_debt_ceiling", 31, 7, sender="keeper")
    protocol.do("VaultEngine.revoke_role", CEILINGS, "keeper", sender="admin")
    with reverts("roles: not admin"):
        protocol.do("VaultEngine.set_debt_ceiling", 0, 7, sender="keeper")


def test_the_first_needs_terms_of_auctions(protocol):
    c = list_token(protocol, "NEW", 18, 2_000 * RAY)
    with reverts("collateral_auction: not ready"):
        protocol.do("VaultEngine.set_debt_ceiling", c, 1, sender="admin")
    protocol.do("VaultEngine.set_debt_ceiling", c, 0, sender="admin")
    protocol.do("CollateralAuction.add_terms", c, *TERMS, sender="admin")
    protocol.do("VaultEngine.set_debt_ceiling", c, 1, sender="admin")


def test_the_role_of_ceilings_may_do_nothing_else(protocol):
    protocol.do("VaultEngine.grant_role", CEILINGS, "keeper", sender="admin")
    for call, *args in (
        ("set_global_debt_ceiling", 7),
        ("set_debt_floor", 0, 7),
        ("set_auction_limit", 0, 7),
        ("set_ratios", 0, 14_500, 15_000),
    ):
        with reverts("roles: not admin"):
            protocol.do(f"VaultEngine.{call}", *args, sender="keeper")
