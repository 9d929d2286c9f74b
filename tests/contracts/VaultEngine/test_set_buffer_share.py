"""set_buffer_share: basis points; fees so far are shared at the old value."""

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import check_setter


def test_is_bounded_logged_and_for_the_admin_only(protocol):
    check_setter(
        protocol,
        "VaultEngine.set_buffer_share",
        target=0,
        highest=10_000,
        reason="terms: out of bounds",
    )


def test_fees_up_to_now_are_shared_at_the_old_value(protocol):
    protocol.do("VaultEngine.set_buffer_share", 0, 0, sender="admin")
    protocol.borrow("borrower", "WETH", 10 * WAD, 6_000 * WAD)
    buffer, reserve = protocol.read("VaultEngine.buffer_of", 0), protocol.read("VaultEngine.reserve")
    protocol.advance(86_400)
    protocol.do("VaultEngine.set_buffer_share", 0, 10_000, sender="admin")
    assert protocol.read("VaultEngine.buffer_of", 0) == buffer
    assert protocol.read("VaultEngine.reserve") > reserve
