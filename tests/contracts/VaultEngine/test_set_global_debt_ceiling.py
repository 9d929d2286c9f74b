"""set_global_debt_ceiling: all types together, in whole stablecoins."""

from tests.support.revert_setter_and_source_helpers import check_setter


def test_is_bounded_logged_and_for_the_admin_only(protocol):
    check_setter(
        protocol,
        "VaultEngine.set_global_debt_ceiling",
        target=None,
        highest=8 * 10**9,
        reason="terms: out of bounds",
    )
