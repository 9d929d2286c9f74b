"""The same of deployments with more: pools, claims, equity under auction, closed books."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.proof.properties import PropertyViolationError, check_state_properties
from tests.support.equity_steps import (
    WETH,
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    post_prices_and_fund_people,
)
from tests.support.saver_steps import (
    deposit_savings,
    earn_year_of_high_fees,
    lose_new_vault,
    request_all_shares,
)
from tests.support.settlement_steps import settle_protocol
from tests.support.tampered_states import build_value_tampering


def changed(protocol):
    """Return the tables that the state properties read, as a copy that can be changed."""
    snapshot, addresses = protocol.lockstep.snapshot(), protocol.lockstep.addresses
    check_state_properties(snapshot, addresses)
    return {
        name: {path: dict(table) for path, table in contract.items()} for name, contract in snapshot.items()
    }, addresses


def is_told(number, state, tamper):
    tables, addresses = state
    tamper(tables)
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: "):
        check_state_properties(tables, addresses)


@pytest.fixture
def pools(new_protocol):
    """Juniors and savers after a loss, claims that were partly repaid, stake under auction."""
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("junior", "staked_equity", "savings"))
    )
    deposit_savings(made, "junior", 4_000 * WAD, "Junior")
    deposit_savings(made, "neighbour", 4_000 * WAD, "Junior")
    request_all_shares(made, "junior", "Junior")
    made.do("Equity.approve", "StakedEquity", 10_000 * WAD, sender="admin")
    made.do("StakedEquity.deposit", 10_000 * WAD, "admin", sender="admin")
    lose_new_vault(made, debt=20_000 * WAD)
    call_waterfall_cover_once(made)
    made.do("Junior.collect_claims", "neighbour", sender="stranger")
    earn_year_of_high_fees(made, "WETH")
    deposit_savings(made, "newcomer", WAD, "Junior")
    request_all_shares(made, "newcomer", "Junior")
    made.do("Stablecoin.approve", "Junior.Claims", 1_000 * WAD, sender="taker")
    made.do("Junior.Claims.repay", 1_000 * WAD, sender="taker")
    return made


def add_to_the_last_request(tables):
    """The newcomer's: those from before the loss of all are void."""
    requests = tables["Junior"]["line.requests"]
    key = next(key for key, request in requests.items() if request.generation)
    requests[key] = requests[key]._replace(shares=requests[key].shares + 1)


@pytest.mark.parametrize(
    "tamper",
    [
        build_value_tampering("Junior", "funds.assets", "booked", 10**30),
        add_to_the_last_request,
        build_value_tampering("Junior", "line.batches", "units"),
        build_value_tampering("StakedEquity", "funds.assets", "booked", 10**30),
        build_value_tampering("StakeAuction", "sales", "target", 10**27),
        build_value_tampering("Junior.Claims", "paid_per_token", increment=10**30),
        build_value_tampering("Junior.Claims", "token.state", "supply", 10**30),
    ],
)
def test_what_is_booked_and_not_held_is_told(pools, tamper):
    is_told(2, changed(pools), tamper)


@pytest.fixture
def closed(protocol):
    """Closed books, a part of the stablecoin in a bag, a part of that cashed."""
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    settle_protocol(protocol)
    protocol.do("Settlement.redeem", 5_000 * WAD, sender="borrower")
    protocol.do("Settlement.cash", WETH, 1_000 * WAD, sender="borrower")
    return protocol


@pytest.mark.parametrize(
    "tamper",
    [
        build_value_tampering("Settlement", "share_of", increment=10**9),
        build_value_tampering("Settlement", "bag_of", increment=10**9),
        build_value_tampering("Settlement", "cashed_of", increment=10**30),
        build_value_tampering("VaultEngine", "ledger.salvage", increment=-(10**4)),
    ],
)
def test_collateral_that_holders_could_miss_is_told(closed, tamper):
    tables, addresses = changed(closed)
    locked = tables["VaultEngine"]["ledger.salvage"]
    assert locked[WETH] and XAU not in locked
    is_told(17, (tables, addresses), tamper)
