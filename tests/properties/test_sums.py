"""Sums that properties carry along instead of counting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.model.collateral_auction import AuctionStart, Lot
from backstop.model.interfaces import Vault
from backstop.proof.properties import PropertyViolationError, check_state_properties
from backstop.proof.properties.incremental_table_sums import (
    SummedTable,
    copy_snapshot,
    create_summed_or_plain_table,
    get_table_sums,
    iter_snapshot_incremental_sums,
)

IDS = st.integers(1, 4)
AMOUNTS = st.integers(0, 2**104 - 1)
LOTS = st.builds(Lot, AMOUNTS, st.sampled_from((0, 1, WAD, 10**6 * WAD)), st.just(0), st.integers(0, 2))
TOPS = st.builds(AuctionStart, st.just(0), st.integers(0, 10**12), st.integers(0, RAY))
VAULTS = st.builds(Vault, AMOUNTS, AMOUNTS, st.integers(0, 9))


@given(st.lists(st.tuples(st.tuples(st.integers(0, 2), st.sampled_from("abc")), VAULTS)))
def test_they_are_those_of_a_full_count(writes):
    known: dict = {}
    table = known["vaults"] = create_summed_or_plain_table("VaultEngine", "vaults", known)
    for key, vault in writes:
        table[key] = vault
        (each,) = iter_snapshot_incremental_sums({"VaultEngine": known})
        each.check_full_count()
        plain = {"VaultEngine": {"vaults": dict(table)}}
        assert get_table_sums({"VaultEngine": known}, "VaultEngine", "vaults") == get_table_sums(
            plain, "VaultEngine", "vaults"
        )


@given(st.lists(st.tuples(IDS, LOTS | TOPS)))
def test_records_in_two_tables_are_added_up_together(writes):
    """In any order of writing, and after the auction is over."""
    known: dict = {}
    for path in ("tops", "lots"):
        known[path] = create_summed_or_plain_table("CollateralAuction", path, known)
    for id, record in writes:
        known["lots" if isinstance(record, Lot) else "tops"][id] = record
        (each,) = iter_snapshot_incremental_sums({"CollateralAuction": known})
        each.check_full_count()
    for c, (lots, principal) in get_table_sums(
        {"CollateralAuction": known}, "CollateralAuction", "lots", "tops"
    ).items():
        mine = {id: lot for id, lot in known["lots"].items() if lot.collateral_type == c}
        assert lots == sum(lot.lot for lot in mine.values())
        tops = {id: known["tops"].get(id, AuctionStart()) for id in mine}
        left = (lot.target * RAY - tops[id].penalty * 10**39 - tops[id].excess for id, lot in mine.items())
        assert principal == sum(max(0, each) for each in left)


def test_one_that_drifts_is_told():
    table = create_summed_or_plain_table("LiquidationEngine", "vault_flags.of_vaults", {})
    table[0, "a"] = 5
    dict.__setitem__(table, (0, "a"), 6)
    (each,) = iter_snapshot_incremental_sums({"LiquidationEngine": {"vault_flags.of_vaults": table}})
    with pytest.raises(BackstopError, match="differ from a full count"):
        each.check_full_count()


def test_a_copy_has_sums_of_its_own(protocol):
    protocol.give_stablecoin("saver", 10_000 * WAD)
    state = protocol.lockstep._chain_state
    copy = copy_snapshot(state)
    sums = get_table_sums(state, "VaultEngine", "vaults")
    assert copy == state and get_table_sums(copy, "VaultEngine", "vaults") == sums != {}
    before, (key, vault) = dict(sums), next(iter(copy["VaultEngine"]["vaults"].items()))
    copy["VaultEngine"]["vaults"][key] = vault._replace(locked_collateral=vault.locked_collateral + 1)
    assert (
        get_table_sums(copy, "VaultEngine", "vaults")
        != before
        == get_table_sums(state, "VaultEngine", "vaults")
    )


@pytest.mark.diverges
def test_properties_use_them(protocol):
    """A vault that lost a wei of debt is seen through the sums."""
    protocol.give_stablecoin("saver", 10_000 * WAD)
    state = protocol.lockstep._chain_state
    check_state_properties(state, protocol.lockstep.addresses)
    vaults = state["VaultEngine"]["vaults"]
    assert isinstance(vaults, SummedTable)
    key, vault = next((key, vault) for key, vault in vaults.items() if vault.normalized_debt)
    vaults[key] = vault._replace(normalized_debt=vault.normalized_debt - 1)
    with pytest.raises(PropertyViolationError, match="property 2"):
        check_state_properties(state, protocol.lockstep.addresses)
