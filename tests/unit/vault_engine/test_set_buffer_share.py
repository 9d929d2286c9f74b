"""set_buffer_share: basis points; fees so far are shared at the old value."""

from tests.helpers import check_setter


def test_is_bounded_logged_and_for_the_admin_only(protocol):
    check_setter(
        protocol,
        "VaultEngine.set_buffer_share",
        target=0,
        highest=10_000,
        reason="vault_engine: share bounds",
    )
