"""The properties of the margin market: its books, its liquidations, and who is deleveraged for how much.

They know prices and positions only, and do their own arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from offchain.model.arithmetic import BASIS_POINTS, RAY, WAD
from offchain.model.margin_book import Account, Funding, Interest, Position
from offchain.model.margin_deleverager import MarginDeleverager
from offchain.model.margin_fund import Insurance
from offchain.model.margin_market import MarginMarket
from offchain.model.margin_policy import MarginPolicy, Margins
from offchain.model.price_feed import PriceFeed
from offchain.properties.registry import Violation, state_property, transition_property
from offchain.properties.transition import Changes, Transition
from offchain.system import Snapshot

_NO_INSURANCE = Insurance()


@state_property(26)
def what_one_account_gains_another_loses(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """In each market sizes sum to zero, and cash + fees == held + unpaid losses, to the wei.

    What is open, who is long and who is short are what the positions say. What the market and its fund have
    booked they hold.
    """
    if "MarginMarket" not in snapshot:
        return
    market, fund = snapshot["MarginMarket"], snapshot["MarginFund"]
    sums: Counter[int] = Counter()
    opened: Counter[int] = Counter()
    sides: Counter[tuple[int, bool]] = Counter()
    positions: Mapping[Any, Position] = market["margin_book.positions"]
    for (owner, m), position in positions.items():
        if bool(position.size) != market["margin_book.accounts"][owner].markets >> m & 1:
            raise Violation(f"{owner}'s bit of market {m} does not tell of {position.size} lots")
        sums[m] += position.size
        opened[m] += max(0, position.size)
        sides[m, position.size > 0] += position.size != 0
    unpaid = 0
    interests: Mapping[Any, Interest] = market["margin_book.interests"]
    for m, interest in interests.items():
        if sums[m] != 0:
            raise Violation(f"sizes in market {m} sum to {sums[m]}")
        found = sides[m, True], sides[m, False], opened[m]
        if found != interest[:3]:
            raise Violation(f"market {m} counts {interest[:3]}, its positions are {found}")
        unpaid += interest.unpaid
    cash = sum(account.cash for account in market["margin_book.accounts"].values())
    held, fees = market["held"].get((), 0), market["fees"].get((), 0)
    if cash + fees != held + unpaid:
        raise Violation(f"{cash} of cash and {fees} of fees, but {held} held and {unpaid} unpaid")
    insurance = fund["insurance"].get((), _NO_INSURANCE).amount
    booked = insurance + sum(bucket.assets for bucket in fund["buckets"].values())
    balances = snapshot["Stablecoin"]["erc20.balanceOf"]
    for name, amount in (("MarginMarket", held), ("MarginFund", booked)):
        if balances.get(addresses[name], 0) < amount:
            raise Violation(f"{name} has booked {amount} and holds less")


class _Worth(NamedTuple):
    equity: int
    maintenance: int  # basis points x wei


@transition_property(27)
def a_solvent_account_is_never_liquidated(step: Transition, changes: Changes) -> None:
    """Only an account under its maintenance margin is liquidated, and never one that owes more than it has.

    Its equity falls by no larger a share than its maintenance margin.
    """
    action = step.action
    if (action.contract, action.method) != ("MarginMarket", "liquidate"):
        return
    owner = action.args[0]
    before, after = _worth(step, owner, was=True), _worth(step, owner, was=False)
    if not 0 <= before.equity * BASIS_POINTS < before.maintenance:
        raise Violation(f"{owner} was liquidated with {before}")
    if after.equity < 0 or after.equity * before.maintenance < before.equity * after.maintenance:
        raise Violation(f"{owner} is left with {after} of {before}")


@transition_property(28)
def gains_pay_in_rank_and_no_more_than_the_loss(step: Transition, changes: Changes) -> None:
    """A proven ranking is that of all accounts of the other side, by gain times leverage at frozen prices.

    Those chosen are the first of it, none of them has lost, and they pay the loss or all gains. A step of its
    execution takes no more than a gain, and leaves nobody who pays insolvent.
    """
    if step.action.contract != "MarginDeleverager":
        return
    contracts = step.model.world.contracts
    deleverager = cast(MarginDeleverager, contracts["MarginDeleverager"])
    for log in step.outcome.logs:
        if log.event == "Proven":
            _check_ranking(deleverager, cast(MarginMarket, contracts["MarginMarket"]), log.values[1])
        if log.event == "Deleveraged":
            _, winner, _, paid = log.values
            equity = _frozen(cast(MarginMarket, contracts["MarginMarket"]), winner)[0]
            if paid < 0 or (paid and equity < 0):
                raise Violation(f"{winner} paid {paid} and is left with {equity}")


def _check_ranking(deleverager: MarginDeleverager, market: MarginMarket, prover: str) -> None:
    case, left = deleverager.cases[()], deleverager.left[()]
    places, gains = [], {}
    for owner in market.accounts:
        kept = deleverager.remembered[owner]
        if kept.id == case.id:
            lots, gain, score = kept.lots, kept.gain, deleverager.scores[owner]
        else:
            lots, gain, score = _standing(market, owner, case.long)
        if lots:
            places.append((score, owner))
            gains[owner] = gain
    ranked = [owner for _, owner in sorted(places, reverse=True)]
    chosen = [deleverager.chosen[prover, i] for i in range(deleverager.last_accounts[prover].chosen)]
    if len(ranked) != case.others or chosen != ranked[: len(chosen)]:
        raise Violation(f"{chosen} were chosen of {ranked}")
    if any(gains[owner] <= 0 for owner in chosen):
        raise Violation("somebody without a gain was chosen")
    # Fewer than all who gained are enough only if they can pay all of it and close all.
    winners = [owner for owner in ranked if gains[owner] > 0]
    if len(chosen) < len(winners) and (deleverager.runs[prover].loss or deleverager.runs[prover].lots):
        raise Violation(f"{len(chosen)} of {len(winners)} were chosen, and something is left of {left}")


def _standing(market: MarginMarket, owner: str, long: bool) -> tuple[int, int, int]:
    """Lots on the other side, gain and score; zeros for anybody else."""
    m = market.freezes[()].market
    position: Position = market.positions[owner, m]
    if position.size == 0 or (position.size > 0) == long:
        return 0, 0, 0
    price, level = market.frozen_prices[m]
    equity, notional = _frozen(market, owner)
    gain = max(0, min(position.size * (price - level) - position.cost, equity))
    return abs(position.size), gain, gain * notional // equity if gain else 0


def _frozen(market: MarginMarket, owner: str) -> tuple[int, int]:
    """Equity and notional at frozen prices."""
    equity, notional = market.accounts[owner].cash, 0
    for m in range(8):
        size, (price, level) = market.positions[owner, m].size, market.frozen_prices[m]
        equity += size * (price - level)
        notional += abs(size) * price
    return equity, notional


def _worth(step: Transition, owner: str, *, was: bool) -> _Worth:
    """Equity and maintenance margin at current prices, before the step or after."""
    read = step.before if was else step.after
    contracts = step.model.world.contracts
    policy = cast(MarginPolicy, contracts["MarginPolicy"])
    feed = cast(PriceFeed, contracts["PriceFeed"])
    account: Account = read("MarginMarket", "margin_book.accounts", owner)
    equity, maintenance = account.cash, 0
    for m in range(policy.count[()]):
        position: Position = read("MarginMarket", "margin_book.positions", (owner, m))
        funding: Funding = read("MarginMarket", "margin_book.fundings", m)
        index = funding.level + funding.rate * (step.model.timestamp - funding.updated)
        base, terms = policy.underlyings[m], cast(Margins, policy.terms[m])
        price = max(1, feed.prices[base.feed].current * base.lot // RAY)
        notional = abs(position.size) * price
        equity += position.size * (price - index)
        maintenance += notional * terms.maintenance
        maintenance += sum(max(0, notional - above * WAD) * rate for above, rate in terms.of_accounts)
    return _Worth(equity, maintenance)
