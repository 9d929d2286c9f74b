"""Winners of a crash that try to evade ADL: they pass positions on, trade off the mark, and withdraw.

They are chosen when the first account loses its positions, among the accounts with gains by then. They try at
once, and again after the next roll. Each has a second account that is not publicly linked to it. A run in
which they are chosen and do nothing gives the baseline.
"""

from __future__ import annotations

from typing import Any, cast

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.keepers.cycle_view import CycleView
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256
from backstop.model.margin_fund import MarginFund
from backstop.model.margin_orders import NANOSECONDS, Order
from backstop.model.perpetual_market import PerpetualMarket
from backstop.randomness import SeededRandom
from backstop.simulation.evasion_record import AdlEvader
from backstop.simulation.scenario_run_state import ScenarioRun
from backstop.system import Action

WAYS = (
    "passes its position on",
    "trades off the mark with itself",
    "trades at the mark with itself",
    "withdraws",
)
_PASSES, _OFF_MARK, _ITSELF, _WITHDRAWS = WAYS


PURSE = "dodgers"
"""The account with the margins of second accounts."""


def compute_margin_needed_by_evaders(run: ScenarioRun) -> int:
    """Return the stablecoin needed as margin for evaders' second accounts [wad].

    It is half of the notional that evaders of deleveraging may have.
    """
    notional = sum(trade.lots * trade.price for trade in run.margin_book.trades)
    return notional * run.scenario.margin_book.dodgers // BASIS_POINTS // 2


def fund_second_accounts(run: ScenarioRun) -> None:
    """Move the margin for evaders' second accounts from the market maker to their common purse."""
    amount, maker, purse = (
        compute_margin_needed_by_evaders(run),
        run.register_account("market_maker"),
        run.register_account(PURSE),
    )
    if amount:
        run.apply_or_raise("Stablecoin", "transfer", purse, amount, sender=maker)
        run.apply_or_raise("Stablecoin", "approve", run.at["PerpetualMarket"], MAX_UINT256, sender=purse)


def run_adl_evasion_round(run: ScenarioRun) -> None:
    """Let winners of a crash try to evade deleveraging, in the crash's cycle and in the next one.

    Evaders are chosen once the first account has lost its positions. Each cycle has one round, and there are
    two.
    """
    book, margin, state = run.scenario.margin_book, run.recorder.margin, run.dodging
    if not book.dodgers or margin is None or not margin.seized or state.rounds == 2:
        return
    cycle = int(_get_perpetual_market_contract(run).clocks[()].cycle)
    if cycle == state.cycle:
        return
    if not state.dodgers:
        state.dodgers = _choose_evaders(run)
    state.cycle, state.rounds = cycle, state.rounds + 1
    for each in state.dodgers:
        # Marks of now move everybody: they are brought in both runs, so that nothing else differs.
        run.submit_marks(get_trader_account(each.name))
        for m in range(len(run.scenario.margin_symbols)):
            run.apply_or_raise("PerpetualMarket", "accrue", m, sender=get_trader_account(each.name))
        if book.dodges:
            _run_evader_moves(run, each)


def _get_perpetual_market_contract(run: ScenarioRun) -> PerpetualMarket:
    return cast(PerpetualMarket, run.session.model.world.contracts["PerpetualMarket"])


def _choose_evaders(run: ScenarioRun) -> list[AdlEvader]:
    """Choose the configured share of the cycle's winners at random, each with one evasion method."""
    market, winners = _get_perpetual_market_contract(run), list[str]()
    with run.session.model.fork_state():
        for name in sorted(run.margin_book.deposits):
            owner = get_trader_account(name)
            market._settle_missed_cycles(owner)
            gains = [
                sum(market._compute_open_gains(owner, m)) for m in range(len(run.scenario.margin_symbols))
            ]
            if sum(gains) and market.accounts[owner].markets:
                winners.append(name)
    dice, left = SeededRandom(run.seed, "dodgers"), winners
    found = []
    for i in range(len(winners) * run.scenario.margin_book.dodgers // BASIS_POINTS):
        name = left.pop(dice.draw_index(len(left)))
        found.append(AdlEvader(name, f"second_{i + 1}", WAYS[i % len(WAYS)]))
        run.register_trader_account_name(found[-1].pal)
    return found


def _run_evader_moves(run: ScenarioRun, evader: AdlEvader) -> None:
    owner = get_trader_account(evader.name)
    if evader.way != _WITHDRAWS:
        for m in range(len(run.scenario.margin_symbols)):
            size = int(_get_perpetual_market_contract(run).positions[owner, m].size)
            if size:
                _move_position_to_second_account(run, evader, m, size)
    for name in (evader.name, evader.pal):
        if _get_perpetual_market_contract(run).accounts[get_trader_account(name)].cycle:
            _withdraw_available_margin(run, evader, get_trader_account(name))


def _move_position_to_second_account(run: ScenarioRun, evader: AdlEvader, market: int, size: int) -> None:
    """Deposit margin of a fifth of the notional, and move a position to the evader's second account.

    With the method `trades off the mark` the price differs from the mark; with the method `trades at the mark
    with itself` the position is moved back.
    """
    purse, mark = run.register_account(PURSE), int(_get_perpetual_market_contract(run).paths[market].price)
    margin = min(abs(size) * mark // 5, run.get_stablecoin_balance(purse))
    if run.apply(Action("PerpetualMarket", "deposit", (get_trader_account(evader.pal), margin), purse)).ok:
        evader.brought += margin
    off = 0
    if evader.way == _OFF_MARK:
        assert run.scenario.parameters.margin is not None
        # What is worse for who had gained is better for its second account.
        off = mark * run.scenario.parameters.margin.band // BASIS_POINTS * (-1 if size > 0 else 1)
    _trade_with_second_account(run, evader, market, size, mark + off)
    if evader.way == _ITSELF:
        _trade_with_second_account(run, evader, market, -size, mark)


def _trade_with_second_account(
    run: ScenarioRun, evader: AdlEvader, market: int, size: int, price: int
) -> None:
    """Trade lots from the evader to its second account; a negative size trades them back."""
    chain_id, contract = run.session.model.world.chain_id, run.at["MarginOrders"]
    nonce, signed = run.system.timestamp * NANOSECONDS + evader.tried, list[Any]()
    for name, delta in ((evader.name, -size), (evader.pal, size)):
        order = Order(get_trader_account(name), market, delta, price, MAX_UINT256, nonce)
        signed += [order, sign_order(name, order, chain_id, contract)]
    fees = _get_perpetual_market_contract(run).fee_table[()]
    action = Action("MarginOrders", "fill", (*signed, abs(size)), get_trader_account(evader.name))
    _count_evader_attempt(evader, run.apply(action).ok)
    evader.fees += _get_perpetual_market_contract(run).fee_table[()] - fees


def _withdraw_available_margin(run: ScenarioRun, evader: AdlEvader, owner: str) -> None:
    """Withdraw the account's whole balance, or if this is refused its free margin."""
    own = cast(CycleView, run.build_keeper_view().cycles).simulate_reports({}).get_standing(owner).own
    for amount in (own, run.compute_free_margin(owner)):
        if amount > 0:
            went = run.apply(Action("PerpetualMarket", "withdraw", (amount, owner), owner)).ok
            _count_evader_attempt(evader, went)
            if went:
                return


def _count_evader_attempt(evader: AdlEvader, is_successful: bool) -> None:
    evader.tried += 1
    evader.went += is_successful


def summarise_evaders(run: ScenarioRun) -> dict[str, Any] | None:
    """Return the evaders' attempts and results for the run's summary; None if the run has no evaders.

    Their wealth includes second accounts, balances, margin accounts and vesting profits, less the margin
    deposited for them.
    """
    margin = run.recorder.margin
    if not run.scenario.margin_book.dodgers or margin is None:
        return None
    pairs = [(get_trader_account(each.name), get_trader_account(each.pal)) for each in run.dodging.dodgers]
    both = {owner for pair in pairs for owner in pair}
    brought = sum(each.brought for each in run.dodging.dodgers)
    return {
        "dodgers": len(pairs),
        "tried": sum(each.tried for each in run.dodging.dodgers),
        "went": sum(each.went for each in run.dodging.dodgers),
        "fees_wad": str(sum(each.fees for each in run.dodging.dodgers)),
        "borne_wad": str(sum(margin.all_haircuts.get(owner, 0) for owner in both)),
        "closed_wad": str(sum(row[5] * row[7] for row in margin.closings if row[3] in both)),
        "have_wad": str(sum(_compute_holdings(run, owner) for owner in sorted(both)) - brought),
    }


def _compute_holdings(run: ScenarioRun, owner: str) -> int:
    fund = cast(MarginFund, run.session.model.world.contracts["MarginFund"])
    vests = sum(fund.profit_of(owner, owner, bucket) for who, bucket in list(fund.holdings) if who == owner)
    return (
        run.get_stablecoin_balance(owner)
        + vests
        + cast(CycleView, run.build_keeper_view().cycles).get_account_equity(owner)
    )
