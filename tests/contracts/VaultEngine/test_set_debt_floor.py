"""set_debt_floor: the smallest debt of a vault, in whole stablecoins."""

from tests.support.revert_setter_and_source_helpers import check_setter


def test_is_bounded_logged_and_for_the_admin_only(protocol):
    check_setter(
        protocol, "VaultEngine.set_debt_floor", target=0, highest=10**6, reason="terms: out of bounds"
    )


def test_the_auctions_learn_the_new_minimum(protocol):
    protocol.do("VaultEngine.set_debt_floor", 0, 1_000, sender="admin")
    terms = protocol.do("CollateralAuction.terms_of", 0, sender="stranger")
    assert 1_000 in terms or -(-1_000 * terms.penalty // 10_000) == terms.minimum
