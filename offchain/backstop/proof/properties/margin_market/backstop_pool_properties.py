"""Properties of the backstop pool: at rest, shares and their payments, risk, quotes, and exits that wait."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import WAD
from backstop.proof.properties.independent_arithmetic.batch_figures import MOST_SHARES, VOID, convert_shares
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    ACCOUNTS,
    BASIS_POINTS,
    FEES,
    GAINED,
    HELD,
    LATE,
    LOST,
    MARKET,
    MARKETS,
    ORDERS,
    PAID_IN,
    PATHS,
    POOL,
    POSITIONS,
    build_trade_from_events,
    compute_account_equity,
    compute_lot_price_and_range,
    divide_ceil,
    get_market_fund_name,
    list_event_values,
    read_position_sizes,
)
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    state_property,
    transition_property,
)
from backstop.system import Snapshot

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_STATE, _BALANCES, _BATCHES, _REQUESTS = "token.state", "token.balances", "batches", "requests"
_QUOTES, _LIMITS, _ERA = "quotes", "limit", "era"
_SHARES, _ASSETS, _LEAST = 10**6, 1, 10**6
_WAYS_IN = ("deposit", "mint")


# ------------------------------------------------------------------------- shares


@state_property(120, writes=[_STATE, _BALANCES, _BATCHES, _REQUESTS, _ERA])
def backstop_share_sums_match(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Check that shares and exit requests of the backstop pool add up (property 120).

    The backstop pool takes over positions of failing accounts with its members' money. Requested shares are
    in escrow and, except dust, are counted in daily batches that form a linked list. Divided shares may lose
    less than the virtual shares to rounding. Raises PropertyViolationError otherwise.
    """
    if POOL not in snapshot:
        return
    pool: Mapping[str, Mapping[Any, Any]] = snapshot[POOL]
    state, era = pool[_STATE].get(()), pool[_ERA].get((), 0)
    supply, generation, mark = (state.supply, state.generation, state.mark) if state else (0, 0, 0)
    held = {
        who: convert_shares(each.shares, each.generation, generation) for who, each in pool[_BALANCES].items()
    }
    dust = _SHARES if generation else 1
    if not 0 <= supply - sum(held.values()) < dust:
        raise PropertyViolationError(f"{sum(held.values())} shares are held of {state}")
    asked: Counter[int] = Counter()
    escrow = 0
    for (of, batch, _), request in pool[_REQUESTS].items():
        if of == era and request.shares:
            escrow += convert_shares(request.shares, request.generation, generation)
            asked[batch] += request.counts
    listed = sorted(batch for batch, requests in asked.items() if requests)
    for before, batch, after in zip([0, *listed], listed, [*listed[1:], 0], strict=False):
        found = tuple(pool[_BATCHES].get((era, batch), ()))
        if found != (asked[batch], after, before):
            raise PropertyViolationError(
                f"batch {batch} is {found}, of {asked[batch]} requests after {before}"
            )
    ends = (listed[0], listed[-1]) if listed else (0, 0)
    if (mark % 2**32, mark >> 32) != ends or not 0 <= held.get(addresses[POOL], 0) - escrow < dust:
        raise PropertyViolationError(f"batches are {ends}, noted {mark}; {escrow} were asked for")


@transition_property(121, events=[f"{POOL}.Deposit", f"{POOL}.Withdraw"])
def only_flat_pool_changes_shares(step: Transition, changes: Changes) -> None:
    """Check that the backstop pool mints and pays shares only without positions (property 121).

    Its account must also have no gain or loss that is not final, no bond and no debt. The share price is cash
    over shares, with 1 wei and 1e6 virtual shares added. It is rounded against the member by less than a
    unit. Before an entry, shares are divided as often as their low price requires. They are void once less
    than 1e6 wei of cash is left. Raises PropertyViolationError otherwise.
    """
    if step.action.contract != POOL or not list_event_values(step, "Deposit", "Withdraw", contract=POOL):
        return
    who = step.get_contract(POOL).address
    account = step.read_post_state(MARKET, ACCOUNTS, who)
    if read_position_sizes(step.read_post_state, who) or account.bond or account.markets or account.cash < 0:
        raise PropertyViolationError(f"{step.action.method}, and the account has {account}")
    keys = [(who, m, parity) for m in MARKETS for parity in (0, 1)]
    open_figures = [step.read_post_state(MARKET, path, key) for path in (GAINED, LOST) for key in keys]
    if any(map(any, open_figures)):
        raise PropertyViolationError(
            f"{step.action.method}, and the account has gains or losses that are not final"
        )
    old, new = step.read_pre_state(POOL, _STATE), step.read_post_state(POOL, _STATE)
    taken = sum(values[2] for values in list_event_values(step, "Withdrawn"))
    held = account.cash + taken - sum(values[2] for values in list_event_values(step, "Deposited"))
    supply = old.supply
    if step.action.method in _WAYS_IN:
        steps = 0
        while convert_shares(supply, 0, steps) + _SHARES > (held + _ASSETS) * MOST_SHARES:
            steps += 1
        if supply and held < _LEAST:
            steps = VOID
        supply = convert_shares(supply, 0, steps)
        eras = step.read_post_state(POOL, _ERA) - step.read_pre_state(POOL, _ERA)
        if (new.generation, eras) != (old.generation + steps, steps == VOID):
            raise PropertyViolationError(
                f"generation {new.generation} follows {old}, with {held} in the account"
            )
    for log in step.outcome.logs:
        if log.contract != POOL or log.event not in ("Deposit", "Withdraw"):
            continue
        assets, shares = log.values[-2:]
        left, right = assets * (supply + _SHARES), shares * (held + _ASSETS)
        enters = log.event == "Deposit"
        unit = held + _ASSETS if step.action.method == "deposit" else supply + _SHARES
        lost = left - right if enters else right - left
        if not 0 <= lost < unit:
            raise PropertyViolationError(f"{assets} for {shares} shares, with {held} for {supply}")


@transition_property(122, calls=[f"{POOL}.*"])
def pool_exit_profit_vests_for_leaver(step: Transition, changes: Changes) -> None:
    """Check that the backstop pool keeps no money and pays leaving members fully (property 122).

    The profit in a payment vests in the controller's name, rounded up. The rest is paid at once. While the
    market has late losses (booked, but not paid by gains of their cycle), the payment is cut pro rata. Then
    only the controller may call. Raises PropertyViolationError otherwise.
    """
    if step.action.contract != POOL:
        return
    pool = step.get_contract(POOL)
    moved: Counter[str] = Counter()
    for owner, to, amount in list_event_values(step, "Transfer", contract="Stablecoin"):
        moved[owner] -= amount
        moved[to] += amount
    if moved[pool.address]:
        raise PropertyViolationError(f"{moved[pool.address]} stay in the pool after {step.action.method}")
    if step.action.method != "leave":
        return
    controller = step.action.args[1]
    [(_, receiver, owner, assets, _)] = list_event_values(step, "Withdraw", contract=POOL)
    late = step.read_pre_state(MARKET, LATE)
    if (receiver, owner) != (controller, controller) or (late and step.action.sender != controller):
        raise PropertyViolationError(
            f"{step.action.sender} had {owner} leave to {receiver}, with {late} late"
        )
    taken = sum(values[2] for values in list_event_values(step, "Withdrawn"))
    held = step.read_post_state(MARKET, ACCOUNTS, pool.address).cash + taken
    held -= sum(values[2] for values in list_event_values(step, "Deposited"))
    paid_in = min(step.read_pre_state(MARKET, PAID_IN, pool.address), held)
    profit = divide_ceil(assets * (held - paid_in), held) if assets else 0
    if late:
        # Insurance and the protocol pay what they can before anybody is cut; fees are nobody's to take out.
        helped = sum(
            insured
            for _, _, insured in list_event_values(step, "LossAbsorbed", contract=get_market_fund_name(step))
        )
        helped += sum(
            amount
            for (amount,) in list_event_values(step, "ShortfallPosted", contract=get_market_fund_name(step))
        )
        free = max(0, step.read_pre_state(MARKET, HELD) + helped - step.read_post_state(MARKET, FEES))
        assets = assets * free // (free + late - helped)
        profit = assets - min(assets, step.read_pre_state(MARKET, PAID_IN, pool.address))
    fund = get_market_fund_name(step)
    locked = sum(
        values[2]
        for values in list_event_values(step, "ProfitLocked", contract=fund)
        if values[0] == controller
    )
    # What contracts of the deployment get beside is their own affair.
    at_hand = assets - profit if controller in step.model.world.addresses else moved[controller]
    if (locked, at_hand, step.outcome.value) != (profit, assets - profit, assets):
        raise PropertyViolationError(
            f"{controller} got {at_hand} and {locked}, of {assets} {profit} are profit"
        )
    left = step.read_pre_state(MARKET, PAID_IN, pool.address) - step.read_post_state(
        MARKET, PAID_IN, pool.address
    )
    if left != assets - profit:
        raise PropertyViolationError(f"{assets - profit} of deposits have left, and {left} are counted")


# --------------------------------------------------------------------------- risk


@transition_property(123, calls=[f"{POOL}.take", f"{POOL}.liquidate"])
def pool_position_stays_within_limits(step: Transition, changes: Changes) -> None:
    """Check that the backstop pool's positions grow only within its limits (property 123).

    The limits are a notional per market and a maximum leverage. Positions may not grow while a batch of exits
    is due and the account is flat. One batch later they may not grow at all, unless the market has late
    losses (booked, but not paid by gains of their cycle). Raises PropertyViolationError otherwise.
    """
    trade = build_trade_from_events(step) if step.action.contract == POOL else None
    if trade is None:
        return
    pool, m = step.get_contract(POOL), trade.market
    key = pool.address, m
    was, now = (read(MARKET, POSITIONS, key).size for read in (step.read_pre_state, step.read_post_state))
    if 0 <= now <= was or was <= now <= 0:
        return
    mark = step.read_post_state(MARKET, PATHS, m).price
    if abs(now) * mark > step.read_post_state(POOL, _LIMITS, m) * WAD:
        raise PropertyViolationError(
            f"{now} lots at {mark} in market {m}, of {step.read_post_state(POOL, _LIMITS, m)}"
        )
    sizes = read_position_sizes(step.read_post_state, pool.address)
    everything = sum(
        abs(size) * step.read_post_state(MARKET, PATHS, each).price for each, size in sizes.items()
    )
    found = compute_account_equity(step, pool.address)
    if everything * BASIS_POINTS > (found.equity - found.unfinal) * pool.leverage:
        raise PropertyViolationError(f"{everything} in positions with {found}")
    first = step.read_pre_state(POOL, _STATE).mark % 2**32
    if not first or step.read_pre_state(MARKET, LATE):
        return
    late_by = step.model.timestamp - (first + 2) * pool.notice
    rested = not step.read_pre_state(MARKET, ACCOUNTS, pool.address).markets
    if late_by >= pool.notice or (late_by >= 0 and rested):
        raise PropertyViolationError(
            f"batch {first} has been due for {late_by} seconds, and the pool took {now - was} lots"
        )


# ------------------------------------------------------------------------- quotes


@transition_property(124, calls=[f"{ORDERS}.fill"])
def pool_order_reduces_at_mark(step: Transition, changes: Changes) -> None:
    """Check that the backstop pool's orders only reduce its position, at its quote (property 124).

    The quote must be active. The price is the better end of the mark's recent range for the pool, plus its
    spread. Raises PropertyViolationError otherwise.
    """
    trade = (
        build_trade_from_events(step)
        if POOL in step.model.world.contracts and step.is_call(ORDERS, "fill")
        else None
    )
    if trade is None:
        return
    pool, m = step.get_contract(POOL), trade.market
    if pool.address not in (trade.one, trade.other):
        return
    key = pool.address, m
    was, now = (read(MARKET, POSITIONS, key).size for read in (step.read_pre_state, step.read_post_state))
    quote, (mark, low, high) = step.read_pre_state(POOL, _QUOTES, m), compute_lot_price_and_range(step, m)
    if not (0 <= now < was or was < now <= 0) or abs(now) < quote.down_to:
        raise PropertyViolationError(f"the pool had {was} lots, has {now}, and keeps {quote.down_to}")
    if step.model.timestamp >= quote.until or not mark:
        raise PropertyViolationError(f"a quote until {quote.until} was filled at a mark of {mark}")
    end = high if was > 0 else low
    over = trade.price - end if was > 0 else end - trade.price
    if over * BASIS_POINTS < end * pool.spread:
        raise PropertyViolationError(f"the pool traded at {trade.price}, with a mark of {mark}")


@transition_property(143, calls=[f"{POOL}.quote"])
def pool_quote_begins_after_last_ends(step: Transition, changes: Changes) -> None:
    """Check that a new backstop pool quote starts only after the last one has ended (property 143).

    A quote offers a set share of the pool's position in one market to other traders, rounded up. Raises
    PropertyViolationError if time or share is wrong.
    """
    if not step.is_call(POOL, "quote"):
        return
    pool, m, now = step.get_contract(POOL), step.action.args[0], step.model.timestamp
    was, quote = step.read_pre_state(POOL, _QUOTES, m), step.read_post_state(POOL, _QUOTES, m)
    if now < was.until or quote.until != now + pool.quote_time:
        raise PropertyViolationError(f"{quote} was made at {now}, and {was} ran")
    whole = abs(step.read_post_state(MARKET, POSITIONS, (pool.address, m)).size)
    missing = (whole - quote.down_to) * BASIS_POINTS - whole * pool.share
    if not whole or not 0 <= missing < BASIS_POINTS:
        raise PropertyViolationError(
            f"{quote} is of {whole} lots, and {pool.share} of ten thousand are for sale"
        )


# -------------------------------------------------------------------------- waiting


@transition_property(144, calls=[f"{POOL}.requestRedeem"])
def exit_requests_above_dust_are_counted(step: Transition, changes: Changes) -> None:
    """Check that an exit request counts once it reaches 1/10,000 of all pool shares (property 144).

    Once counted, it stays counted in its batch. Raises PropertyViolationError otherwise.
    """
    if not step.is_call(POOL, "requestRedeem"):
        return
    state = step.read_pre_state(POOL, _STATE)
    key = step.read_pre_state(POOL, _ERA), step.outcome.value, step.action.args[1]
    was, now = (read(POOL, _REQUESTS, key) for read in (step.read_pre_state, step.read_post_state))
    asked = convert_shares(was.shares, was.generation, state.generation) + step.action.args[0]
    if now != (asked, was.counts or asked * BASIS_POINTS >= state.supply, state.generation):
        raise PropertyViolationError(f"{now} follows {was}, of {state.supply} shares in all")


@history_property(
    125,
    writes=[_REQUESTS],
    events=[f"{POOL}.{name}" for name in ("RedeemRequest", "Withdraw", "NewGeneration", "SharesDivided")],
)
class BackstopPoolExitWaitsWholeBatch:
    """Checker that a backstop pool exit is paid after a full waiting period (property 125).

    The payment is for exactly the requested shares. The wait is one full batch period after the request's
    batch. The checker keeps its own clock.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._asked: dict[tuple[int, str], int] = defaultdict(int)
        self._since: dict[tuple[int, str], int] = {}
        if POOL in model.world.contracts:
            contract: Any = model.world.contracts[POOL]
            generation, era = contract.tables[_STATE][()].generation, contract.tables[_ERA][()]
            for (of, batch, who), request in contract.tables[_REQUESTS].items():
                if of == era and request.shares:
                    self._asked[batch, who] = convert_shares(request.shares, request.generation, generation)
                    self._since[batch, who] = batch * contract.notice

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record requested shares, and check number and waiting time of the shares that are paid.

        Raises PropertyViolationError if either is wrong.
        """
        if POOL not in step.model.world.contracts:
            return
        now, notice = step.model.timestamp, step.get_contract(POOL).notice
        for log in step.outcome.logs:
            if log.contract != POOL:
                continue
            if log.event == "NewGeneration":
                self._asked.clear()
            elif log.event == "SharesDivided":
                for key, asked in self._asked.items():
                    self._asked[key] = convert_shares(asked, 0, log.values[1])
            elif log.event == "RedeemRequest":
                controller, _, batch, _, shares = log.values
                if batch != now // notice:
                    raise PropertyViolationError(f"{shares} went into batch {batch} at {now}")
                self._asked[batch, controller] += shares
                self._since[batch, controller] = now
            elif log.event == "Withdraw":
                key = step.action.args[0], log.values[2]
                asked = self._asked.pop(key, -1)
                if asked != log.values[4]:
                    raise PropertyViolationError(
                        f"{key} left with {log.values[4]} shares, and had asked for {asked}"
                    )
                if now - self._since[key] < notice or now // notice < key[0] + 2:
                    raise PropertyViolationError(f"{key} left at {now}, and had asked at {self._since[key]}")
