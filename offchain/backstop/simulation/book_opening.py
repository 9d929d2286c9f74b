"""The opening of a run: prices, collateral, vaults, margin accounts, members and keepers' capital.

Nothing here depends on events after the scenario's start. A run may instead resume from a state that a live
deployment had.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.parameter_dataclasses import MarginParameters
from backstop.deployment.role_accounts import ACCOUNTS
from backstop.errors import BackstopError
from backstop.hosts.world_storage_json import RawState, WrongStateError
from backstop.keepers.perpetual_vault_keeper import POOL
from backstop.keepers.token_approvals import SPENDERS
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.model.instant_stability_pool import InstantStabilityPool
from backstop.model.margin_orders import Order as MarginOrder
from backstop.model.price_path import INTERVAL
from backstop.model.roles import GUARDIAN, STAGE
from backstop.simulation.account_value import compute_total_account_worth
from backstop.simulation.adl_evaders import compute_margin_needed_by_evaders, fund_second_accounts
from backstop.simulation.progress_and_interruption import Progress, RunInterruptedError
from backstop.simulation.run_recorder import AuctionRecord
from backstop.simulation.scenario_run_state import KeeperState, ScenarioRun

ENOUGH = 10**9
"""Multiple of the collateral required at opening prices, for accounts that may need more after a drop."""

NAIVE_POOL = InstantStabilityPool.KIND


def open_book(run: ScenarioRun, progress: Progress, stop: Callable[[], bool]) -> None:
    """Open the scenario's state before its start: prices, vaults, positions, deposits and capital.

    Stability fees fill the buffers meanwhile. Nothing depends on events after the start. If the scenario has
    an exported state, that state is restored instead. Raises BackstopError if vaults draw fewer stablecoins
    than the rest needs.
    """
    if run.scenario.opening is not None:
        restore_exported_state(run, run.scenario.opening.state)
        return
    scenario, maker = run.scenario, run.register_account("market_maker")
    drawn = sum(vault.debt for vault in run.book) // WAD
    needed = sum(each.deposit for each in run.members if each.asset == "Stablecoin")
    needed += sum(each.deposit for each in run.stability_pool_members)
    groups = [each.keeper.group for each in run.keepers]
    needed += sum(g.endowment for g in groups if g.role != "member" and g.asset == "Stablecoin")
    needed += scenario.reserve
    needed += scenario.insurance + scenario.pool_money + sum(run.margin_book.deposits.values())
    needed += sum(member.money for member in scenario.pool_members) + compute_margin_needed_by_evaders(run)
    if drawn * WAD < needed:
        raise BackstopError(
            f"the scenario does not fit: its vaults draw {drawn:,} stablecoins, the reserve, members of "
            f"pools, keepers' capital and margins take {needed // WAD:,}"
        )
    run.report_opening_prices(run.scenario.opened_at)
    switch_outflow_limits(run, is_enabled=False)
    for symbol in scenario.symbols:
        mint_market_maker_collateral(
            run, symbol, sum(vault.locked for vault in run.book if vault.symbol == symbol)
        )

    symbols = scenario.symbols
    for i, vault in enumerate(run.book):
        if stop():
            raise RunInterruptedError("stopped while the book was opened")
        progress(i, len(run.book), "opening vaults")
        c, owner = symbols.index(vault.symbol), run.register_account(vault.owner)
        args = (c, owner, vault.locked, 0, owner)
        run.apply_or_raise("VaultEngine", "deposit_and_draw", *args, sender=maker)
        if vault.debt:
            # What borrowers drew they have spent: it is in the market's hands.
            args = (c, owner, 0, vault.debt, maker)
            run.apply_or_raise("VaultEngine", "deposit_and_draw", *args, sender=owner)
        run.recorder.opened[c] += 1
        approve_vault_restructurer(run, owner)

    switch_outflow_limits(run, is_enabled=True)
    fill_reserve(run)
    if scenario.parameters.margin is not None:
        fund_and_trade_margin_book(run, scenario.parameters.margin, progress, stop)
    for member in run.members:
        holder = maker if member.asset == "Stablecoin" else run.register_account("admin")
        run.apply_or_raise(member.asset, "transfer", member.address, member.deposit, sender=holder)
        if member.pool not in run.at:
            continue
        run.apply_or_raise(
            member.asset, "approve", run.at[member.pool], member.deposit, sender=member.address
        )
        run.apply_or_raise(member.pool, "deposit", member.deposit, member.address, sender=member.address)
    deposit_into_stability_pools(run)
    for state in run.keepers:
        group = state.keeper.group
        if group.role == "member":
            state.opening = compute_total_account_worth(run, state.keeper.address)
            continue
        approve_keeper_spenders(run, state)
        give_keeper_capital(run, state)
        if group.role == "attacker":
            state.opening = compute_total_account_worth(run, state.keeper.address)

    run.advance_clock(scenario.start - max(feed.step for _, feed, _ in run.iter_opening_prices()))
    # At the prices at which it was opened: where the first ones have fallen, entries would wait.
    admit_stability_pool_entries(run)
    run.report_opening_prices()
    for c in range(len(symbols)):
        run.apply_or_raise("VaultEngine", "accrue", c, sender=maker)
    record_opening_auctions(run)
    run.advance_clock(scenario.start)


def deposit_into_stability_pools(run: ScenarioRun) -> None:
    """Transfer stablecoin to the members of stability pools, and deposit it for them."""
    maker = run.register_account("market_maker")
    has_claim = (False,) if run.scenario.parameters.stability_pool_contract == NAIVE_POOL else ()
    for member in run.stability_pool_members:
        run.apply_or_raise("Stablecoin", "transfer", member.address, member.deposit, sender=maker)
        args = run.at[member.pool], member.deposit
        run.apply_or_raise("Stablecoin", "approve", *args, sender=member.address)
        run.apply_or_raise(member.pool, "deposit", member.deposit, *has_claim, sender=member.address)


def admit_stability_pool_entries(run: ScenarioRun) -> None:
    """Admit the deposits that have waited long enough into their stability pools.

    The naive pool, which admits deposits at once, needs no call.
    """
    if run.scenario.parameters.stability_pool_contract != NAIVE_POOL:
        for pool in dict.fromkeys(member.pool for member in run.stability_pool_members):
            run.apply_or_raise(pool, "admit", sender=run.register_account("market_maker"))


def fund_and_trade_margin_book(
    run: ScenarioRun, margin: MarginParameters, progress: Progress, stop: Callable[[], bool]
) -> None:
    """Deposit insurance, pool money and margins, and trade the opening positions of the margin market.

    Trades are at the first mark prices. The funding that follows from these trades ends before the start.
    """
    maker, book, market = run.register_account("market_maker"), run.margin_book, "PerpetualMarket"
    for contract in (market, "MarginFund"):
        run.apply_or_raise("Stablecoin", "approve", run.at[contract], MAX_UINT256, sender=maker)
    if run.scenario.insurance:
        run.apply_or_raise("MarginFund", "insure", run.scenario.insurance, sender=maker)
    if POOL in run.at:
        run.apply_or_raise("Stablecoin", "approve", run.at[POOL], MAX_UINT256, sender=maker)
    if run.scenario.pool_money:
        run.apply_or_raise(POOL, "deposit", run.scenario.pool_money, maker, sender=maker)
    for member in run.scenario.pool_members:
        run.apply_or_raise(POOL, "deposit", member.money, run.register_account(member.name), sender=maker)
    for name, amount in book.deposits.items():
        run.names[get_trader_account(name)] = name
        run.apply_or_raise(market, "deposit", get_trader_account(name), amount, sender=maker)
    for i, trade in enumerate(book.trades):
        if stop():
            raise RunInterruptedError("stopped while the margin book was opened")
        progress(i, len(book.trades), "opening positions")
        sides: list[Any] = []
        for name, size in ((trade.long, trade.lots), (trade.short, -trade.lots)):
            order = MarginOrder(get_trader_account(name), trade.market, size, trade.price, MAX_UINT256, i + 1)
            chain_id = run.session.model.world.chain_id
            sides += [order, sign_order(name, order, chain_id, run.at["MarginOrders"])]
        run.apply_or_raise("MarginOrders", "fill", *sides, trade.lots, sender=maker)
    fund_second_accounts(run)
    for _ in ("a rate that follows from the trades", "none"):
        run.advance_clock(run.system.timestamp + INTERVAL)
        for m in range(len(run.scenario.margin_symbols)):
            run.apply_or_raise(market, "accrue", m, sender=maker)


def fill_reserve(run: ScenarioRun) -> None:
    """Fill the reserve with the scenario's amount by burning stablecoins of the market maker.

    The market maker gets the role of a loss stage for this one call.
    """
    if not run.scenario.reserve:
        return
    maker, admin, engine = run.register_account("market_maker"), run.register_account("admin"), "VaultEngine"
    run.apply_or_raise(engine, "grant_role", STAGE, maker, sender=admin)
    run.apply_or_raise(engine, "give_to_reserve", run.scenario.reserve, sender=maker)
    run.apply_or_raise(engine, "revoke_role", STAGE, maker, sender=admin)


def approve_vault_restructurer(run: ScenarioRun, owner: str) -> None:
    """Approve the keepers that restructure vaults as operators of an owner, if workouts are deployed."""
    for state in run.keepers if "Workouts" in run.at else ():
        if state.keeper.group.role == "debtor":
            address = state.keeper.address
            run.apply_or_raise("VaultEngine", "approve_operator", address, True, sender=owner)


def restore_exported_state(run: ScenarioRun, state: RawState) -> None:
    """Start the run from a state exported from a live deployment, instead of opening a book.

    Raises BackstopError if the state does not fit the contracts.
    """
    try:
        run.restore_storage_state(state)
    except WrongStateError as error:
        raise BackstopError(f"{error}: export it again") from None
    for name in ACCOUNTS:
        run.register_account(name)
    record_opening_auctions(run)
    view = run.build_keeper_view()
    for c, symbol in enumerate(run.scenario.symbols):
        run.recorder.opened[c] = len(view.list_vaults_with_debt(c))
        mint_market_maker_collateral(run, symbol)
    for keeper in run.keepers:
        approve_keeper_spenders(run, keeper)
        give_keeper_capital(run, keeper)


def record_opening_auctions(run: ScenarioRun) -> None:
    """Pass the auction terms, and the auctions and workouts that are already open, to the recorder."""
    for c in range(len(run.scenario.symbols)):
        run.recorder.auction_terms[c] = run.session.model.view("CollateralAuction", "terms_of", c)
    view = run.build_keeper_view()
    for auction in view.auctions:
        known = AuctionRecord(
            auction.id,
            auction.collateral_type,
            "",
            # About: the clock may have missed slots since.
            view.timestamp - (view.auction_clock - auction.started_at),
            auction.lot,
            auction.top,
            auction.target,
            auction.principal,
            auction.started_at,
        )
        run.recorder.auctions.setdefault(auction.id, known)
    for workout in view.workouts:
        run.recorder.guards.record_preexisting_workout(workout)


def mint_market_maker_collateral(run: ScenarioRun, symbol: str, vault_collateral: int = 0) -> None:
    """Mint collateral to the market maker for vaults, and for its market at any later price.

    `vault_collateral` is the amount for vaults [wad].
    """
    scenario, maker = run.scenario, run.register_account("market_maker")
    needed = vault_collateral + ENOUGH * scenario.markets[symbol].depth * RAY // run.paths[symbol][0]
    decimals = scenario.parameters.collateral_types[scenario.symbols.index(symbol)].decimals
    run.apply_or_raise(symbol, "mint", maker, div_up(needed, 10 ** (18 - decimals)), sender=maker)
    for spender in ("VaultEngine", f"Market.{symbol}"):
        run.apply_or_raise(symbol, "approve", run.at[spender], MAX_UINT256, sender=maker)
    run.apply_or_raise("Stablecoin", "approve", run.at[f"Market.{symbol}"], MAX_UINT256, sender=maker)


def approve_keeper_spenders(run: ScenarioRun, keeper_state: KeeperState) -> None:
    """Approve the contracts that take a keeper's tokens, such as auctions."""
    group, me = keeper_state.keeper.group, keeper_state.keeper.address
    for spender in SPENDERS.get(group.role, ()):
        if spender in run.at:
            run.apply_or_raise(group.asset, "approve", run.at[spender], MAX_UINT256, sender=me)


def switch_outflow_limits(run: ScenarioRun, is_enabled: bool) -> None:
    """Enable or disable the limits on outflows of each collateral type.

    They are disabled while the book is opened at once, since a real book grows over months.
    """
    for c, collateral in enumerate(run.scenario.parameters.collateral_types):
        policy = collateral.policy
        if policy.flow_cap:
            cap = policy.flow_cap if is_enabled else 0
            run.apply_or_raise(
                "RiskPolicy",
                "set_flow_limit",
                c,
                cap,
                policy.flow_window,
                sender=run.register_account("admin"),
            )


def give_keeper_collateral(run: ScenarioRun, keeper_state: KeeperState) -> None:
    """Mint the collateral that a keeper may lock in its vault, and approve the vault engine for it."""
    group, me = keeper_state.keeper.group, keeper_state.keeper.address
    c = run.scenario.symbols.index(group.collateral)
    unit = 10 ** (18 - run.scenario.parameters.collateral_types[c].decimals)
    opening = run.sources[group.collateral][0]
    most = max(group.capital, group.each)
    amount = ENOUGH * most * group.ratio * RAY // (BASIS_POINTS * opening)
    run.apply_or_raise(group.collateral, "mint", me, div_up(amount, unit), sender=me)
    run.apply_or_raise(group.collateral, "approve", run.at["VaultEngine"], MAX_UINT256, sender=me)


def grant_guardian_roles(run: ScenarioRun, keeper_state: KeeperState) -> None:
    """Grant a keeper the guardian role in the price feed, the circuit breaker and all facilitators."""
    for contract in ("PriceFeed", "CircuitBreaker", *(d.name for d in run.scenario.parameters.facilitators)):
        if contract in run.at:
            args = (GUARDIAN, keeper_state.keeper.address)
            run.apply_or_raise(contract, "grant_role", *args, sender=run.register_account("admin"))


def give_keeper_capital(run: ScenarioRun, keeper_state: KeeperState) -> None:
    """Give a keeper its starting capital, collateral and roles, and record its opening balance.

    Capital in a token that is not deployed is left out.
    """
    group = keeper_state.keeper.group
    if group.collateral:
        give_keeper_collateral(run, keeper_state)
    if group.role == "guardian":
        grant_guardian_roles(run, keeper_state)
    if group.role == "attacker" and (pool := POOLS[group.pool][0]) in run.at:
        run.apply_or_raise(
            "Stablecoin", "approve", run.at[pool], MAX_UINT256, sender=keeper_state.keeper.address
        )
    if group.endowment and group.asset in run.at:
        holder = run.register_account("market_maker" if group.asset == "Stablecoin" else "admin")
        run.apply_or_raise(
            group.asset, "transfer", keeper_state.keeper.address, group.endowment, sender=holder
        )
    keeper_state.opening = run.get_stablecoin_balance(keeper_state.keeper.address)
