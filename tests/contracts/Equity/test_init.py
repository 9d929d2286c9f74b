"""The constructor: a token of 18 decimals; its first supply belongs to its holder."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused

WEEK = 7 * 86_400


def test_is_named(equity):
    assert equity.read("Equity.name") == "Backstop Equity"
    assert equity.read("Equity.symbol") == "BSE"
    assert equity.read("Equity.decimals") == 18
    assert equity.read("Issued.AUCTION") == equity.address("auction")
    assert equity.read("Equity.EPOCH_LENGTH") == equity.parameters.epoch_length


def test_the_first_supply_is_the_holders(equity):
    admin = equity.address("admin")
    equity.lockstep.create_contract("Equity", "Other", admin, admin, equity.address("holder"), 5, WEEK, 7)
    assert equity.read("Other.balanceOf", "holder") == equity.read("Other.totalSupply") == 5 * WAD
    assert equity.read("Other.mintable") == 7 * WAD
    assert equity.read("Other.admin") == admin


def test_it_may_start_without_a_supply(equity):
    nobody = "0x" + "00" * 20
    equity.lockstep.create_contract("Equity", "Other", equity.address("admin"), nobody, nobody, 0, WEEK, 7)
    assert equity.read("Other.totalSupply") == 0


def test_bounds_are_met(equity):
    admin = equity.address("admin")
    equity.lockstep.create_contract("Equity", "Most", admin, admin, admin, 10**10, 365 * 86_400, 10**9)
    equity.lockstep.create_contract("Equity", "Least", admin, admin, admin, 0, 3_600, 0)


@pytest.mark.parametrize(
    ("supply", "epoch", "cap", "reason"),
    [
        (0, 3_599, 0, "equity: short epoch"),
        (0, 365 * 86_400 + 1, 0, "equity: long epoch"),
        (10**10 + 1, WEEK, 0, "equity: supply bounds"),
        (0, WEEK, 10**9 + 1, "equity: cap bounds"),
    ],
)
def test_out_of_bounds(equity, supply, epoch, cap, reason):
    admin = equity.address("admin")
    check_contract_creation_refused(equity, "Equity", admin, admin, admin, supply, epoch, cap, reason=reason)


@pytest.mark.parametrize(
    "method", ["set_minter", "burn_from", "transfer_ownership", "renounce_ownership", "owner"]
)
def test_nobody_owns_it(artifacts, method):
    assert method not in {item.get("name") for item in artifacts["Equity"].abi_json}
