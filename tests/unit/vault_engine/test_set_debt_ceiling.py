"""set_debt_ceiling: binds draws only, in whole stablecoins."""

from tests.helpers import check_setter


def test_is_bounded_logged_and_for_the_admin_only(protocol):
    check_setter(
        protocol,
        "VaultEngine.set_debt_ceiling",
        target=0,
        highest=10**9,
        reason="vault_engine: ceiling bounds",
    )
