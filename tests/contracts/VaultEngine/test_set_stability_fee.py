"""set_stability_fee: ray a second; the old fee is charged first."""

from tests.support.revert_setter_and_source_helpers import check_setter


def test_is_bounded_logged_and_for_the_admin_only(protocol):
    check_setter(
        protocol,
        "VaultEngine.set_stability_fee",
        target=0,
        highest=7 * 10**19,
        reason="terms: out of bounds",
    )


def test_the_old_fee_is_charged_up_to_now(protocol):
    protocol.borrow("borrower", "WETH", 10 * 10**18, 6_000 * 10**18)
    before = protocol.read("VaultEngine.debts_of", 0)[1]
    protocol.advance(86_400)
    protocol.do("VaultEngine.set_stability_fee", 0, 0, sender="admin")
    charged = protocol.read("VaultEngine.debts_of", 0)[1]
    assert charged > before
    protocol.advance(86_400)
    assert protocol.do("VaultEngine.accrue", 0, sender="stranger") == charged


def test_the_buffer_stays_as_it_is(protocol):
    protocol.earn_fees("WETH")
    protocol.do("VaultEngine.accrue", 0, sender="stranger")
    buffer = protocol.read("VaultEngine.buffer_of", 0)
    protocol.do("VaultEngine.set_stability_fee", 0, 5, sender="admin")
    assert protocol.read("VaultEngine.buffer_of", 0) == buffer > 0
    assert protocol.read("VaultEngine.stability_fee_of", 0) == 5
