"""Winners that evade ADL: after the price drop they pass positions on, trade off the mark, and withdraw.

Each has a second account that others do not know of. The evaded amount is the winner's share of losses plus
the fees that it paid, less the decrease of both its accounts from the price drop to the end. Prices stand
still meanwhile, and funding is counted as if the winner had kept its position.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.model.arithmetic import BASIS_POINTS
from backstop.studies.auto_deleveraging.crash_accounts import HOUSE, AccountPopulation

PASSES, OFF_MARK, ITSELF, WITHDRAWS = (
    "passes its position on",
    "trades off the mark with itself",
    "trades at the mark with itself",
    "withdraws",
)
WAYS = (PASSES, OFF_MARK, ITSELF, WITHDRAWS)
_BAND = 50  # basis points, of the deployment


@dataclass
class Evader:
    """Winner that evades deleveraging, and its second account."""

    name: str
    pal: str
    way: str
    had: int  # wad, after the fall
    gains: list[int]  # wad, of the cycle of the fall, by market
    sizes: list[int]  # lots, by market
    worths: list[int]  # wei, of them
    fees: int = 0  # wad, that both paid
    brought: int = 0  # wad, into the second account
    taken_out: int = 0  # wad


@dataclass
class EvasionAttempts:
    """Winners that evade deleveraging, with counts of attempts and successes by method."""

    dodgers: list[Evader] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    went: Counter[str] = field(default_factory=Counter)

    def count_attempt(self, way: str, went: bool) -> None:
        """Count an attempt by its method, and whether it succeeded (`went`)."""
        self.tried[way] += 1
        self.went[way] += went


def choose_evaders(crowd: AccountPopulation, percent: int, seed: int) -> EvasionAttempts:
    """Draw a percentage of the winners as evaders, each with one method of evasion."""
    market, found = crowd.market, EvasionAttempts()
    names = Random(seed).sample(crowd.shorts, len(crowd.shorts) * percent // 100)
    with crowd.blocks.model.fork_state():
        for i, name in enumerate(names):
            owner = get_trader_account(name)
            market._settle_missed_cycles(owner)
            gained = [sum(market._compute_open_gains(owner, m)) for m in crowd.markets]
            sizes = [market.positions[owner, m].size for m in crowd.markets]
            has = compute_account_value_with_bonds(crowd, owner)
            worths = [market._compute_worth(m, size) for m, size in enumerate(sizes)]
            found.dodgers.append(Evader(name, f"second_{i}", WAYS[i % len(WAYS)], has, gained, sizes, worths))
    return found


def compute_account_value_with_bonds(crowd: AccountPopulation, owner: str) -> int:
    """Return the value of an updated account with its bond [wad].

    Haircuts that are not final are not deducted. A haircut is the part of a gain that pays others' losses.
    """
    account = crowd.market.accounts[owner]
    return int(
        crowd.market._compute_account_value_at_marks(owner)
        + crowd.market.third_bond * account.bond.bit_count()
    )


def apply_evasion_attempts(crowd: AccountPopulation, evasion_attempts: EvasionAttempts) -> None:
    """Run each evader's attempt, as far as the market allows."""
    for each in evasion_attempts.dodgers:
        if each.way == WITHDRAWS:
            _withdraw_all_margin(crowd, evasion_attempts, each, each.name)
            continue
        for m in crowd.markets:
            lots = -crowd.market.positions[get_trader_account(each.name), m].size
            if lots > 0:
                _pass_position_to_second_account(crowd, evasion_attempts, each, m, lots)
        _withdraw_all_margin(crowd, evasion_attempts, each, each.name)
        _withdraw_all_margin(crowd, evasion_attempts, each, each.pal)


def _pass_position_to_second_account(
    crowd: AccountPopulation, evasion_attempts: EvasionAttempts, evader: Evader, market_index: int, lots: int
) -> None:
    """Trade the position to the evader's second account, and back if that is the evader's method."""
    mark = crowd.read_mark(market_index)
    margin = lots * mark // 2 + crowd.compute_bonds_and_fees(lots * mark)
    crowd.deposit_margin(evader.pal, margin)
    evader.brought += margin
    off = mark * _BAND // BASIS_POINTS if evader.way == OFF_MARK else 0
    evasion_attempts.count_attempt(
        evader.way, _trade_with_fees(crowd, evader, evader.name, evader.pal, market_index, lots, mark + off)
    )
    if evader.way == ITSELF:
        evasion_attempts.count_attempt(
            evader.way, _trade_with_fees(crowd, evader, evader.pal, evader.name, market_index, lots, mark)
        )


def _trade_with_fees(
    crowd: AccountPopulation, each: Evader, buyer: str, seller: str, market_index: int, lots: int, price: int
) -> bool:
    fees = crowd.market.fee_table[()]
    went = crowd.submit_trade(buyer, seller, market_index, lots, price, may_fail=True)
    each.fees += crowd.market.fee_table[()] - fees
    return went


def _withdraw_all_margin(
    crowd: AccountPopulation, evasion_attempts: EvasionAttempts, evader: Evader, trader_name: str
) -> None:
    """Withdraw all margin of an evader's account.

    If that is refused, withdraw only the part that is neither gain nor required margin.
    """
    owner, market = get_trader_account(trader_name), crowd.market
    if not market.accounts[owner].cycle:
        return
    with crowd.blocks.model.fork_state():
        market._settle_missed_cycles(owner)
        standing = market._compute_standing(owner)
        notional = sum(abs(market.positions[owner, m].size) * crowd.read_mark(m) for m in crowd.markets)
    free = standing.own - standing.haircut - standing.unfinal - notional // 10 - 1
    for amount in (standing.own, free):
        if amount <= 0:
            continue
        outcome = crowd.blocks.apply_call_in_block(
            f"{HOUSE}.withdraw", amount, owner, sender=owner, counts_gas=False, may_revert=True
        )
        evasion_attempts.count_attempt(WITHDRAWS, outcome.reason is None)
        if outcome.reason is None:
            evader.taken_out += int(outcome.value)
            return


def compute_escaped_loss(crowd: AccountPopulation, evader: Evader, cycle: int) -> int:
    """Return the part of an evader's due loss that it avoided, once all is final [wad].

    A negative result means that the evader paid more.
    """
    market = crowd.market
    has = evader.taken_out - evader.brought
    for name in (evader.name, evader.pal):
        owner = get_trader_account(name)
        if market.accounts[owner].cycle:
            market._settle_missed_cycles(owner)
            has += compute_account_value_with_bonds(crowd, owner)
    had = evader.had
    for m, (size, worth) in enumerate(zip(evader.sizes, evader.worths, strict=True)):
        had += market._compute_worth(m, size) - worth
    return compute_evader_due_loss(crowd, evader, cycle) + evader.fees - (had - has)


def compute_evader_due_loss(crowd: AccountPopulation, evader: Evader, cycle: int) -> int:
    """Return the loss due from an evader's gain [wad]: a share pro rata in each market, rounded up."""
    market, due = crowd.market, 0
    for m in crowd.markets:
        losses, totals = market.losses[m, cycle].short, market.totals[m, cycle].short
        gain = evader.gains[m]
        due += -(-gain * losses // totals) if totals else 0
    return due
