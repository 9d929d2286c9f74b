"""Sums that properties carry along instead of counting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.model.interfaces import Vault
from backstop.proof.properties import Violation, check_state
from backstop.proof.properties.sums import Summed, count, sums_of

KEYS = st.tuples(st.integers(0, 2), st.sampled_from("abc"))
VAULTS = st.builds(Vault, st.integers(0, 2**104 - 1), st.integers(0, 2**104 - 1), st.integers(0, 9))


@given(st.lists(st.tuples(KEYS, VAULTS)))
def test_they_are_those_of_a_full_count(writes):
    table = Summed()
    for key, vault in writes:
        table[key] = vault
        assert sums_of(table) == count(dict(table))
        table.recount()


def test_one_that_drifts_is_told():
    table = Summed()
    table[0, "a"] = 5
    dict.__setitem__(table, (0, "a"), 6)
    with pytest.raises(BackstopError, match="differ from a full count"):
        table.recount()


def test_properties_use_them(protocol):
    """A vault that lost a wei of debt is seen through the sums."""
    protocol.give_stablecoin("saver", 10_000 * WAD)
    state = protocol.lockstep._chain_state
    check_state(state, protocol.lockstep.addresses)
    vaults = state["VaultEngine"]["vaults"]
    assert isinstance(vaults, Summed)
    key, vault = next((key, vault) for key, vault in vaults.items() if vault.normalized_debt)
    vaults[key] = vault._replace(normalized_debt=vault.normalized_debt - 1)
    with pytest.raises(Violation, match="property 2"):
        check_state(state, protocol.lockstep.addresses)
