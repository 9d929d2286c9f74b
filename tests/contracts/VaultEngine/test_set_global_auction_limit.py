"""set_global_auction_limit: principal under auction of all types, in whole stablecoins."""

from tests.support.revert_setter_and_source_helpers import check_setter


def test_is_bounded_logged_and_for_the_admin_only(protocol):
    check_setter(
        protocol,
        "VaultEngine.set_global_auction_limit",
        target=None,
        highest=8 * 10**9,
        reason="terms: out of bounds",
    )
