"""What everybody ends with adds up, and the house has what its books say."""

from random import Random

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.collateral_auction import principal_left
from backstop.model.denominations import VIRTUAL_SHARES
from backstop.simulation.account_value import compute_stake
from backstop.studies.hunt.coalition import NAMES, Act, Luck
from backstop.studies.hunt.history import PEOPLE, follow, play
from backstop.studies.hunt.script import TICKS, draw_script
from backstop.studies.hunt.search import draw_case
from backstop.studies.hunt.setting import BANK, CROWD, KEEPER, draw_setting
from backstop.studies.hunt.wealth import HOUSE, wealth

EVERYBODY = (*PEOPLE, KEEPER, BANK, *CROWD)


def played(seed, branch=0):
    """A history with a coalition that does whatever comes to its mind."""
    case, random = draw_case(seed), Random(seed)
    system = case.setting.new()
    plan = tuple(
        sorted(
            Act(
                random.randrange(TICKS),
                random.randrange(3),
                branch,
                random.choice(NAMES),
                random.randrange(99),
            )
            for _ in range(40)
        )
    )
    did = follow(case.setting, system, case.script, plan, Luck())
    return case, play(case.setting, system, case.script, branch, did[branch])


def house_by_its_books(town, prices, face):
    """What the protocol has, less what it owes beyond what it has: counted from the ledger [wad]."""
    engine, contracts = town.engine, town.system.world.contracts
    # Listing a type leaves one whole token with the deployer.
    total = engine.system[()].reserve + sum(prices[c] for c in town.types) * 10**18
    for c in town.types:
        total += engine.income[c].buffer - engine.deficit[c] + engine.salvage[c] * prices[c]
        for id, lot in town.auction.lots.items():
            if lot.target and lot.collateral_type == c:
                left = principal_left(lot, town.auction.tops[id])
                total += lot.lot * prices[c] - (left if town.owner_of(id) else 0)
        for (at, _), vault in engine.vaults.items():
            if at == c:
                debt = vault.normalized_debt * engine.debts[c].accumulated_rate
                total += min(0, vault.locked_collateral * prices[c] - debt)
    for name, pool in town.pools.items():
        for who in EVERYBODY:
            total -= left_in_pool(town, pool, who) * RAY
            if face and f"{name}.Claims" in contracts:
                series = contracts[f"{name}.Claims"].series[()]
                held = contracts[f"{name}.Claims"].balanceOf("", who)
                total -= held * series.outstanding // max(series.tokens, 1) * RAY
    people = {*EVERYBODY}
    if town.setting.parameters.equity is not None:
        # What is burned or minted, and what nobody holds.
        equity = contracts["Equity"].balances.items()
        total += (town.setting.parameters.equity.supply * WAD - sum(n for _, n in equity)) * prices[-1]
        total += sum(amount for who, amount in equity if who not in people) * prices[-1]
        if "StakedEquity" in contracts:
            total -= sum(compute_stake(contracts["StakedEquity"], who) for who in people) * prices[-1]
    total += sum(coins for who, coins in town.balances("Stablecoin").items() if who not in people) * RAY
    return total // RAY


def left_in_pool(town, pool, who):
    """What somebody's shares, and batches, have once the pool has borne all known losses [wad]."""
    with town.imagine():
        lost = pool.pending_losses("")
        pool._book(-lost)
        if pool.state[()].open:
            pool._share(lost)
        total = pool.held(who) * (pool.totalAssets("") + 1) // (pool.state[()].supply + VIRTUAL_SHARES)
        for (id, owner), request in pool.requests.items():
            if owner == who and request.shares:
                batch = pool.batch_of("", id)
                # A batch that collects is of shares like others.
                worth = (
                    batch.held if id < pool.line[()].collecting else pool.convertToAssets("", batch.shares)
                )
                total += pool._claimable(id, who).assets + worth * request.shares // batch.shares
        return total


@pytest.mark.deep(cases=8)
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("face", [False, True])
def test_the_house_has_what_its_books_say(seed, face):
    case, town = played(seed)
    if town.settlement.progress[()].begun_at:
        return
    prices = case.script.prices[0][-1]
    found = wealth(town, prices, face)
    assert abs(found[HOUSE] - house_by_its_books(town, prices, face)) < 20


def test_equal_seeds_make_equal_worlds():
    for seed in range(5):
        one, other = draw_setting(Random(seed)), draw_setting(Random(seed))
        assert one == other
        assert draw_script(one, Random(seed)) == draw_script(other, Random(seed))
    assert draw_setting(Random(1)) != draw_setting(Random(2))


def test_a_coalition_owes_what_its_vaults_lost():
    case, town = played(3)
    prices = case.script.prices[0][-1]
    before = wealth(town, prices, face=False)
    town.lost[get_account("owner_2")] = town.lost.get(get_account("owner_2"), 0) + 5 * RAD
    town.lost[get_account("saver")] = 7 * RAD
    after = wealth(town, prices, face=False)
    assert after == before | {"coalition": before["coalition"] - 5 * WAD}


def test_what_is_only_feared_is_no_loss():
    feared = 0
    for seed in range(24):
        case, town = played(seed)
        prices = case.script.prices[0][-1]
        before = wealth(town, prices, face=False)
        town.liquidations.type_flags[0] = 10**6 * WAD
        feared += sum(pool.pending_losses("") for pool in town.pools.values())
        assert wealth(town, prices, face=False) == before
    assert feared
