"""set_redistribution_cap: how far a type's debts may grow by others' losses in an epoch."""

from tests.support.revert_setter_and_source_helpers import check_setter


def test_bounds_and_admin(protocol):
    check_setter(
        protocol,
        "VaultEngine.set_redistribution_cap",
        target=0,
        highest=10_000,
        reason="terms: out of bounds",
    )
    assert protocol.read("VaultEngine.redistribution_of", 0).cap == 10_000
