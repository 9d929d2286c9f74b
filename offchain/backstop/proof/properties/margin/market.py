"""The properties of the margin market: its books, its liquidations, and who is deleveraged for how much.

They know prices and positions only, and do their own arithmetic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil
from typing import Any, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY
from backstop.model.interfaces import Insurance
from backstop.model.margin_book import PERIOD, FrozenPrice, Funding, Interest, Position
from backstop.model.margin_deleverager import MarginDeleverager
from backstop.model.margin_sharer import MarginSharer
from backstop.model.ranking import Ranking, Standing
from backstop.proof.properties.figures.margin import last_price, worth
from backstop.proof.properties.registry import Violation, state_property, transition_property
from backstop.proof.properties.transition import Changes, Transition
from backstop.system import Snapshot

_MARKET, _DELEVERAGER = "MarginMarket", "MarginDeleverager"
_ACCOUNTS = "margin_book.accounts"
_NO_INSURANCE = Insurance()
# All that says what somebody's gain has to pay in a freeze, and what is left of it.
_OF_GAINS = (
    *(f"ranking.{path}" for path in ("case", "prover", "executed", "runs", "chosen", "remembered")),
    *(f"margin_book.{path}" for path in ("accounts", "positions", "frozen_prices")),
    "lefts",
)
# The highest funding, a tenth of the price in eight hours, for as long as 32 bits count seconds.
_MOST_FUNDING = 2**32 * bounds.MAX_FUNDING // (BASIS_POINTS * PERIOD) + 1
# Bounds of an account: cash owed, cash held [wei], notional in all markets.
_MOST_OWED, _MOST_HAD, _MOST_NOTIONAL = 2**134, 2**135, 2**119


@state_property(
    26,
    writes=[
        *(_ACCOUNTS, "margin_book.positions", "margin_book.interests", "held", "fees"),
        *("insurance", "buckets", "erc20.balanceOf"),
    ],
)
def what_one_account_gains_another_loses(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Assert in each market that sizes sum to 0, and cash + fees == held + unpaid losses, to the wei.

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
        if bool(position.size) != market[_ACCOUNTS][owner].markets >> m & 1:
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
    cash = sum(account.cash for account in market[_ACCOUNTS].values())
    held, fees = market["held"].get((), 0), market["fees"].get((), 0)
    if cash + fees != held + unpaid:
        raise Violation(f"{cash} of cash and {fees} of fees, but {held} held and {unpaid} unpaid")
    insurance = fund["insurance"].get((), _NO_INSURANCE).amount
    booked = insurance + sum(bucket.assets for bucket in fund["buckets"].values())
    balances = snapshot["Stablecoin"]["erc20.balanceOf"]
    for name, amount in (("MarginMarket", held), ("MarginFund", booked)):
        if balances.get(addresses[name], 0) < amount:
            raise Violation(f"{name} has booked {amount} and holds less")


@transition_property(27, calls=["MarginMarket.liquidate"])
def a_solvent_account_is_never_liquidated(step: Transition, changes: Changes) -> None:
    """Assert that only accounts under their maintenance margin, and not insolvent, are liquidated.

    The account's equity falls by no larger a share than its maintenance margin.
    """
    action = step.action
    if (action.contract, action.method) != ("MarginMarket", "liquidate"):
        return
    owner = action.args[0]
    before, after = (
        worth(step, read, owner, lambda m, _: last_price(step, m)) for read in (step.before, step.after)
    )
    if not 0 <= before.equity * BASIS_POINTS < before.maintenance:
        raise Violation(f"{owner} was liquidated with {before}")
    if after.equity < 0 or after.equity * before.maintenance < before.equity * after.maintenance:
        raise Violation(f"{owner} is left with {after} of {before}")


@transition_property(28, events=["*.Proven", "*.Deleveraged"])
def gains_pay_in_rank_and_no_more_than_the_loss(step: Transition, changes: Changes) -> None:
    """Assert that a proven ranking is that of the whole other side, by the rule at frozen prices.

    Those chosen are the first of it, or all that gained; none of them has lost, and they pay the loss or all
    gains. A step of its execution takes no more than a gain, nor more than the part of one that shares, and
    leaves nobody who pays insolvent.
    """
    if step.action.contract != "MarginDeleverager":
        return
    deleverager = cast(Ranking, step.model.world.contracts["MarginDeleverager"])
    charged: list[tuple[str, int]] = []
    for log in step.outcome.logs:
        if log.event == "Proven":
            _check_ranking(step, deleverager, log.values[1])
        if log.event == "Deleveraged":
            _, winner, _, paid = log.values
            charged.append((winner, paid))
            equity = _frozen(step.after, winner)[0]
            if paid < 0 or (paid and equity < 0):
                raise Violation(f"{winner} paid {paid} and is left with {equity}")
    if charged and isinstance(deleverager, MarginSharer):
        _check_level(step, deleverager, charged)


@transition_property(29, writes=_OF_GAINS)
def a_gain_that_may_have_to_pay_stays(step: Transition, changes: Changes) -> None:
    """Assert that in a freeze a changed account keeps what its gain may have to pay, at frozen prices."""
    if "MarginDeleverager" not in step.model.world.contracts:
        return
    deleverager = cast(Ranking, step.model.world.contracts["MarginDeleverager"])
    case = deleverager.cases[()]
    if step.model.timestamp > case.until:
        return
    prover, executed = deleverager.provers[()], deleverager.execution[()]
    if isinstance(deleverager, MarginDeleverager) and deleverager.lefts[prover].loss:
        executed -= deleverager.runs[prover].chosen  # a second round asks for what gains have left
    paid = {deleverager.chosen[prover, i] for i in range(executed)}
    for owner, kept in deleverager.remembered.items():
        if kept.id == case.id and owner not in paid and _frozen(step.after, owner)[0] < kept.gain:
            raise Violation(f"{owner} has {_frozen(step.after, owner)[0]}, and {kept.gain} may have to pay")


def _check_ranking(step: Transition, deleverager: Ranking, prover: str) -> None:
    case, run = deleverager.cases[()], deleverager.runs[prover]
    accounts = step.model.world.contracts[_MARKET].tables[_ACCOUNTS]
    every = {owner: _standing(step, deleverager, owner) for owner in accounts}
    found = {owner: standing for owner, standing in every.items() if standing.lots}
    shares = isinstance(deleverager, MarginSharer)

    def place(owner: str) -> tuple[Fraction | int, str]:
        _, gain, score = found[owner]
        return Fraction(score, gain or 1) if shares else score, owner

    ranked = sorted(found, key=place, reverse=True)
    chosen = [deleverager.chosen[prover, i] for i in range(run.chosen)]
    if len(ranked) != case.others or chosen != ranked[: len(chosen)]:
        raise Violation(f"{chosen} were chosen of {ranked}")
    if any(found[owner].gain <= 0 for owner in chosen):
        raise Violation("somebody without a gain was chosen")
    winners = [owner for owner in ranked if found[owner].gain > 0]
    if isinstance(deleverager, MarginSharer):
        scores = sum(found[owner].score for owner in winners)
        if len(chosen) < len(winners) or deleverager.sums[prover] != scores:
            raise Violation(f"{chosen} of {winners} share by {deleverager.sums[prover]}, not {scores}")
    # Fewer than all who gained are enough only if they can pay all of it and close all.
    elif len(chosen) < len(winners) and any(step.after(_DELEVERAGER, "lefts", prover)):
        raise Violation(f"{len(chosen)} of {len(winners)} were chosen, and something is left")


def _check_level(step: Transition, deleverager: MarginSharer, charged: list[tuple[str, int]]) -> None:
    """Assert that nobody pays more than the level; while anything is missing, a wei less for each at most."""
    prover = deleverager.provers[()]
    done, all_of_them = step.before(_DELEVERAGER, "ranking.executed"), deleverager.runs[prover].chosen
    owners = [deleverager.chosen[prover, i] for i in range(done, all_of_them)]
    asked = [_standing(step, deleverager, owner) for owner in owners]
    loss = step.before(_DELEVERAGER, "ranking.left").loss
    scores = sum(standing.score for standing in asked)
    level: Fraction | None = None
    for _, gain, score in asked:
        if loss * score <= gain * scores:
            level = Fraction(loss, scores)
            break
        loss, scores = loss - gain, scores - score
    missing = _frozen(step.after, deleverager.insolvents[()])[0] < 0
    for (winner, paid), owner, (_, gain, score) in zip(charged, owners, asked, strict=False):
        part = Fraction(gain) if level is None else min(Fraction(gain), level * score)
        if winner != owner or paid > ceil(part) or (missing and paid < part - len(owners)):
            raise Violation(f"{winner} paid {paid}, and its part is {part} of {gain}")


def _standing(step: Transition, deleverager: Ranking, owner: str) -> Standing:
    """Return lots on the other side, gain and score before a step; zeros for anybody else."""
    case, kept = deleverager.cases[()], step.before(_DELEVERAGER, "ranking.remembered", owner)
    if kept.id == case.id:
        return Standing(kept.lots, kept.gain, deleverager.scores[owner])
    m = step.before(_MARKET, "frozen").market
    position: Position = step.before(_MARKET, "margin_book.positions", (owner, m))
    if position.size == 0 or (position.size > 0) == case.long:
        return Standing()
    price, level = step.before(_MARKET, "margin_book.frozen_prices", m)
    equity, notional = _frozen(step.before, owner)
    gain = max(0, min(position.size * (price - level) - position.cost, equity))
    return Standing(abs(position.size), gain, -(-gain * notional // equity) if gain else 0)


def _frozen(read: Callable[..., Any], owner: str) -> tuple[int, int]:
    """Return equity and notional at frozen prices, before a step or after it."""
    equity, notional = read(_MARKET, _ACCOUNTS, owner).cash, 0
    for m in range(8):
        size = read(_MARKET, "margin_book.positions", (owner, m)).size
        price, level = read(_MARKET, "margin_book.frozen_prices", m)
        equity += size * (price - level)
        notional += abs(size) * price
    return equity, notional


@state_property(
    30,
    writes=[
        *("ranking.left", "ranking.scores", "underlyings", _ACCOUNTS),
        *(f"margin_book.{path}" for path in ("positions", "interests", "fundings", "frozen_prices")),
    ],
)
def no_figure_is_beyond_its_bounds(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Assert that sizes, prices, scores and sums of a market are so small that no product overflows.

    docs/know/margin-market.md derives these bounds from what the contracts let in.
    """
    if _MARKET not in snapshot:
        return
    market, policy, deleverager = (snapshot[name] for name in (_MARKET, "MarginPolicy", _DELEVERAGER))
    amounts = [("the loss", left.loss, _MOST_OWED) for left in deleverager["ranking.left"].values()]
    amounts += [
        (f"{who}'s score", score, _MOST_NOTIONAL) for who, score in deleverager["ranking.scores"].items()
    ]
    for who, account in market[_ACCOUNTS].items():
        amounts.append((f"{who}'s cash", account.cash, _MOST_HAD))
    for key, position in market["margin_book.positions"].items():
        amounts.append((f"{key}'s cost", position.cost, _MOST_HAD))
    for m, base in policy["underlyings"].items():
        highest = max(1, bounds.MAX_PRICE * base.lot // RAY)
        interest: Interest = market["margin_book.interests"].get(m, Interest())
        funding: Funding = market["margin_book.fundings"].get(m, Funding())
        frozen: FrozenPrice = market["margin_book.frozen_prices"].get(m, FrozenPrice())
        most = min(bounds.MAX_OPEN_LOTS, bounds.MAX_OPEN // base.lot)
        amounts += [(f"open in market {m}", lots, most) for lots in (interest.open, base.open_limit)]
        amounts.append((f"market {m}'s frozen price", frozen.price, highest))
        amounts += [
            (f"market {m}'s index", level, _MOST_FUNDING * highest) for level in (funding.level, frozen.level)
        ]
    for what, amount, most in amounts:
        if abs(amount) > most:
            raise Violation(f"{what} is {amount}, beyond {most}")
