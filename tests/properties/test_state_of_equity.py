"""The same of deployments with more: pools, claims, equity under auction, closed books."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.proof.properties import PropertyViolationError, check_state
from tests.support.equity_steps import WETH, XAU, cover_deficit, open_protocol, with_equity
from tests.support.saver_steps import deposit_savings, fill_buffer, lose_new_vault, request_all_shares
from tests.support.settlement_steps import settle_protocol
from tests.support.tampered_states import add_to_value


def changed(protocol):
    """What the state properties look at, as a copy that can be changed."""
    snapshot, addresses = protocol.lockstep.snapshot(), protocol.lockstep.addresses
    check_state(snapshot, addresses)
    return {
        name: {path: dict(table) for path, table in contract.items()} for name, contract in snapshot.items()
    }, addresses


def is_told(number, state, tamper):
    tables, addresses = state
    tamper(tables)
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: "):
        check_state(tables, addresses)


@pytest.fixture
def pools(new_protocol):
    """Juniors and savers who bore a loss, claims that were partly repaid, stake under auction."""
    made = open_protocol(new_protocol(with_equity("junior", "staked_equity", "savings")))
    deposit_savings(made, "junior", 4_000 * WAD, "Junior")
    deposit_savings(made, "neighbour", 4_000 * WAD, "Junior")
    request_all_shares(made, "junior", "Junior")
    made.do("Equity.approve", "StakedEquity", 10_000 * WAD, sender="admin")
    made.do("StakedEquity.deposit", 10_000 * WAD, "admin", sender="admin")
    lose_new_vault(made, debt=20_000 * WAD)
    cover_deficit(made)
    made.do("Junior.collect_claims", "neighbour", sender="stranger")
    fill_buffer(made, "WETH")
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
        add_to_value("Junior", "funds.assets", "booked", 10**30),
        add_to_the_last_request,
        add_to_value("Junior", "line.batches", "units"),
        add_to_value("StakedEquity", "funds.assets", "booked", 10**30),
        add_to_value("StakeAuction", "sales", "target", 10**27),
        add_to_value("Junior.Claims", "paid_per_token", by=10**30),
        add_to_value("Junior.Claims", "token.state", "supply", 10**30),
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
        add_to_value("Settlement", "share_of", by=10**9),
        add_to_value("Settlement", "bag_of", by=10**9),
        add_to_value("Settlement", "cashed_of", by=10**30),
        add_to_value("VaultEngine", "ledger.salvage", by=-(10**4)),
    ],
)
def test_collateral_that_holders_could_miss_is_told(closed, tamper):
    tables, addresses = changed(closed)
    locked = tables["VaultEngine"]["ledger.salvage"]
    assert locked[WETH] and XAU not in locked
    is_told(17, (tables, addresses), tamper)
