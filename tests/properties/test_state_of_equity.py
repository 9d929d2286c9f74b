"""The same of deployments with more: pools, claims, equity under auction, closed books."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.proof.properties import Violation, check_state
from tests.support.equity import WETH, XAU, cover, open_protocol, with_equity
from tests.support.savings import fill, lose, request, save
from tests.support.settling import settle
from tests.support.states import add


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
    with pytest.raises(Violation, match=f"^property {number} is violated: "):
        check_state(tables, addresses)


@pytest.fixture
def pools(new_protocol):
    """Juniors and savers who bore a loss, claims that were partly repaid, stake under auction."""
    made = open_protocol(new_protocol(with_equity("junior", "staked_equity", "savings")))
    save(made, "junior", 4_000 * WAD, "Junior")
    save(made, "neighbour", 4_000 * WAD, "Junior")
    request(made, "junior", "Junior")
    made.do("Equity.approve", "StakedEquity", 10_000 * WAD, sender="admin")
    made.do("StakedEquity.deposit", 10_000 * WAD, "admin", sender="admin")
    lose(made, debt=20_000 * WAD)
    cover(made)
    made.do("Junior.collect_claims", "neighbour", sender="stranger")
    fill(made, "WETH")
    save(made, "newcomer", WAD, "Junior")
    request(made, "newcomer", "Junior")
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
        add("Junior", "funds.assets", "booked", 10**30),
        add_to_the_last_request,
        add("Junior", "line.batches", "units"),
        add("StakedEquity", "funds.assets", "booked", 10**30),
        add("StakeAuction", "sales", "target", 10**27),
        add("Junior.Claims", "paid_per_token", by=10**30),
        add("Junior.Claims", "token.state", "supply", 10**30),
    ],
)
def test_what_is_booked_and_not_held_is_told(pools, tamper):
    is_told(2, changed(pools), tamper)


@pytest.fixture
def closed(protocol):
    """Closed books, a part of the stablecoin in a bag, a part of that cashed."""
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    settle(protocol)
    protocol.do("Settlement.redeem", 5_000 * WAD, sender="borrower")
    protocol.do("Settlement.cash", WETH, 1_000 * WAD, sender="borrower")
    return protocol


@pytest.mark.parametrize(
    "tamper",
    [
        add("Settlement", "share_of", by=10**9),
        add("Settlement", "bag_of", by=10**9),
        add("Settlement", "cashed_of", by=10**30),
        add("VaultEngine", "ledger.salvage", by=-(10**4)),
    ],
)
def test_collateral_that_holders_could_miss_is_told(closed, tamper):
    tables, addresses = changed(closed)
    locked = tables["VaultEngine"]["ledger.salvage"]
    assert locked[WETH] and XAU not in locked
    is_told(17, (tables, addresses), tamper)
