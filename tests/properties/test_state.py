"""A state in which a property does not hold is told by the property's number."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import RAD, WAD
from backstop.model.listed_types import decode_listed_types, encode_listed_types
from backstop.model.stage_caps import Reservation
from backstop.proof.properties import PropertyViolationError, check_state_properties
from tests.support.auction_steps import start_auction
from tests.support.saver_steps import (
    LOOK,
    cut_batch,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    lose_new_vault,
    request_all_shares,
)
from tests.support.tampered_states import build_value_tampering

POOL, ENGINE, WATERFALL = "Savings", "VaultEngine", "LossWaterfall"


@pytest.fixture
def state(protocol):
    """A covered loss, an open auction, withdrawing savers: a copy that can be changed."""
    deposit_savings(protocol, "keeper", 10_000 * WAD)
    request_all_shares(protocol, "keeper")
    cut_batch_and_wait_cooldown(protocol)
    protocol.do("Savings.settle", sender="stranger")
    deposit_savings(protocol, "saver", 20_000 * WAD)
    protocol.do("Savings.requestRedeem", 10_000 * WAD * 10**6, "saver", "saver", sender="saver")
    cut_batch(protocol)
    request_all_shares(protocol, "saver")
    protocol.make_deficit("XAU")
    protocol.do("LossWaterfall.cover", 2, sender="stranger")
    lose_new_vault(protocol, "WBTC")
    start_auction(protocol)
    check_state_properties(protocol.lockstep.snapshot(), protocol.lockstep.addresses)
    tables = {
        name: {path: dict(table) for path, table in contract.items()}
        for name, contract in protocol.lockstep.snapshot().items()
    }
    return tables, protocol.lockstep.addresses


WRONG = [
    (1, build_value_tampering("Stablecoin", "erc20.totalSupply")),
    (1, build_value_tampering(ENGINE, "ledger.system", "reserve")),
    (1, build_value_tampering(ENGINE, "ledger.income", "buffer", -1)),
    (1, build_value_tampering(ENGINE, "ledger.system", "buffers")),
    (1, build_value_tampering(ENGINE, "ledger.debts", "distressed", -1)),
    (2, build_value_tampering(ENGINE, "vaults", "normalized_debt")),
    (2, build_value_tampering(ENGINE, "vaults", "locked_collateral", 10**30)),
    (2, build_value_tampering(ENGINE, "ledger.salvage", increment=10**30)),
    (2, build_value_tampering("CollateralAuction", "lots", "lot", 10**30)),
    (2, build_value_tampering(POOL, "funds.assets", "booked", 10**30)),
    (2, build_value_tampering(POOL, "line.requests", "shares")),
    (2, build_value_tampering(POOL, "line.lines", "first")),
    (2, build_value_tampering(POOL, "line.lines", "last")),
    (2, build_value_tampering(POOL, "line.requests", "next")),
    (2, build_value_tampering(POOL, "line.queue", "owed", 10**30)),
    (2, build_value_tampering(POOL, "line.queue", "held")),
    (2, build_value_tampering(POOL, "line.batches", "units", -(10**40))),
    (2, build_value_tampering(POOL, "exit_batches.ceilings", increment=10**47)),
    (2, build_value_tampering(POOL, "exit_batches.index", increment=10**36)),
    (2, build_value_tampering(POOL, "exit_batches.index", increment=10**60)),
    (2, build_value_tampering(POOL, "token.balances", "shares")),
    (3, build_value_tampering("CollateralAuction", "lots", "target")),
    (4, build_value_tampering(WATERFALL, "created")),
    (4, build_value_tampering(WATERFALL, "covered", increment=-1)),
    (4, build_value_tampering(WATERFALL, "books", "open", 1 << 31)),
    (3, build_value_tampering("VaultEngine", "vaults", "open_lots")),
]


@pytest.mark.parametrize(("number", "tamper"), WRONG)
def test_one_wrong_value_is_told(state, number, tamper):
    tables, addresses = state
    tamper(tables)
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: ") as caught:
        check_state_properties(tables, addresses)
    assert caught.value.number == number


@pytest.fixture
def running(protocol):
    """A run of two batches that are paid but for the possible take of losses in doubt; another waits."""
    for who in ("saver", "keeper"):
        deposit_savings(protocol, who, 20_000 * WAD)
        request_all_shares(protocol, who)
        cut_batch(protocol)
    protocol.advance(protocol.read("Savings.COOLDOWN") + LOOK)
    start_auction(protocol)
    protocol.do("LossWaterfall.cover", 0, sender="stranger")  # the reward of the liquidation
    protocol.do("Savings.settle", sender="stranger")
    deposit_savings(protocol, "elder", 20_000 * WAD)
    request_all_shares(protocol, "elder")
    cut_batch(protocol)
    check_state_properties(protocol.lockstep.snapshot(), protocol.lockstep.addresses)
    tables = {
        name: {path: dict(table) for path, table in contract.items()}
        for name, contract in protocol.lockstep.snapshot().items()
    }
    assert tables[POOL]["exit_batches.first_run"] == {(): 1}
    return tables, protocol.lockstep.addresses


@pytest.mark.parametrize(
    "tamper",
    [
        build_value_tampering(POOL, "exit_batches.first_run"),
        build_value_tampering(POOL, "exit_batches.levels", increment=10**36),
        build_value_tampering(POOL, "exit_batches.levels", increment=-(10**36)),
        build_value_tampering(POOL, "exit_batches.runs", "units", 10**20),
        build_value_tampering(POOL, "exit_batches.ceilings", increment=10**36),
        build_value_tampering(POOL, "token.state", "open", -1),
        build_value_tampering(POOL, "line.queue", "unsettled", -1),
        build_value_tampering(POOL, "line.queue", "held", -1),
    ],
)
def test_a_run_that_is_not_what_its_batches_are_is_told(running, tamper):
    test_one_wrong_value_is_told(running, 2, tamper)


def test_a_reservation_above_the_deficit_is_told(state):
    tables, addresses = state
    above = Reservation(tables[ENGINE]["ledger.deficit"].get(2, 0) + 1, 1)
    tables[WATERFALL]["reservations"][2, "0x1"] = above
    with pytest.raises(PropertyViolationError, match="reserved"):
        check_state_properties(tables, addresses)


@pytest.mark.parametrize(
    ("path", "key"),
    [("of_vaults", (2, "0x1")), ("of_types", 2), ("flagged", ())],
)
def test_flags_add_up(state, path, key):
    tables, addresses = state
    tables["LiquidationEngine"][f"vault_flags.{path}"][key] = 1
    with pytest.raises(PropertyViolationError, match="flagged"):
        check_state_properties(tables, addresses)


def test_a_deficit_above_its_event_is_told(state):
    tables, addresses = state
    tables[ENGINE]["ledger.deficit"][2] = tables[WATERFALL]["losses"][2].unresolved + RAD
    with pytest.raises(PropertyViolationError):
        check_state_properties(tables, addresses)


def test_what_is_carried_has_to_arrive(state):
    tables, addresses = state
    tables[WATERFALL]["carried_out"][2, 0] = RAD
    tables[WATERFALL]["created"][2, 0] = RAD
    with pytest.raises(PropertyViolationError, match="carried out"):
        check_state_properties(tables, addresses)


@pytest.mark.parametrize(
    ("path", "field"), [("debts", "normalized_debt"), ("auctions", "in_auction"), ("income", "buffer")]
)
def test_money_of_a_type_that_is_not_listed_is_told(state, path, field):
    """The deployment has retired a type of which something was left in the books."""
    tables, addresses = state
    name = f"ledger.{path}"
    c = next(c for c, record in tables[ENGINE][name].items() if getattr(record, field))
    listed = [each for each in decode_listed_types(tables[ENGINE]["terms.listed"][()]) if each != c]
    tables[ENGINE]["terms.listed"] = {(): encode_listed_types(listed)}
    with pytest.raises(PropertyViolationError, match=f"^property 155 is violated: type {c} is retired"):
        check_state_properties(tables, addresses, {"terms.listed"})
