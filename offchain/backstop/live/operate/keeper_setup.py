"""The way from settings to a KeeperLoop: nodes, accounts, keepers, strategies."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import Function
from backstop.hosts.rpc_client import never_stop
from backstop.keepers.external_strategy import ExternalStrategy
from backstop.keepers.keeper_role_register import Keeper
from backstop.keepers.margin_keepers import SIGNERS
from backstop.keepers.report_files import SignedReportFile
from backstop.keepers.signed_order_file import open_matcher_order_file
from backstop.keepers.strategy import FallbackStrategy, MarketPriceStrategy, Strategy, load_strategy
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.log_lines import Line
from backstop.live.node.private_relay import Relay
from backstop.live.node.remote_signer import RemoteSigner
from backstop.live.node.signable_call_allowlist import Call, CallAllowlist
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.keeper_settings import KeeperSettings, StrategySettings
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.network_options import build_signers_and_named_accounts, connect_to_deployment_node
from backstop.live.operate.outbox import TransactionRules
from backstop.live.operate.report_sources import open_report_sources
from backstop.live.operate.spending_limits import LimitEnforcer, PausedRoles
from backstop.model.margin_orders import Order, order_digest


def build_caught_up_keeper_loop(
    settings: KeeperSettings,
    say: Callable[[str], None],
    dry: Callable[[str], None] | None = None,
    observer: StatusPublisher | None = None,
    stop: Callable[[], bool] = never_stop,
    once: bool = False,
) -> KeeperLoop:
    """Build the KeeperLoop for some settings and let it follow the chain up to the newest block.

    `say` receives log lines. With `dry`, no transaction will be sent, and `dry` receives a line for each.
    `observer` publishes progress. `stop` ends the set-up with an error once it returns true. With `once`, an
    unreachable node is not waited for. Raise BackstopError if no role is named or an account's keeper is
    unknown.
    """
    if not settings.roles:
        raise BackstopError("no --roles: name some, or give a --config with some")
    deployment = read_deployment(settings.deployment)
    keepers = build_keepers(deployment, list(settings.roles), settings.minimum_profit, settings.options)
    patience = 0 if once else settings.patience
    node = connect_to_deployment_node(
        settings.networks, deployment, say, observer, patience, settings.rpc_timeout, stop
    )
    remote = RemoteSigner(settings.signer, settings.rpc_timeout, stop) if settings.signer else None
    signers, named = build_signers_and_named_accounts(node, settings.accounts, remote)
    unknown = set(named) - {keeper.name for keeper in keepers}
    if unknown:
        names = ", ".join(keeper.name for keeper in keepers)
        raise BackstopError(f"--account: keeper {min(unknown)!r} is unknown; expected one of {names}")
    files = {
        path: SignedReportFile(Path(path)) for path in {keeper.group.signs for keeper in keepers} if path
    }
    keepers = [
        dataclasses.replace(
            _build_keeper_with_account_strategy(keeper, deployment, named, settings, say),
            signing=files.get(keeper.group.signs),
        )
        for keeper in keepers
    ]
    system = LiveSystem(
        node,
        deployment,
        signers,
        fee_cap=settings.fee_cap,
        snapshot=settings.snapshot,
        cold=settings.cold,
        say=lambda text: say(Line(text, "resumed")),
        stop=stop,
        progress=observer.note_replay if observer is not None else lambda mirror, head: None,
    )
    signers.allowed = _build_allowlist(settings.may_sign, keepers, system)
    keepers = [_add_order_signer(keeper, system) for keeper in keepers]
    # The history stays: collecting it again and again would cost hundreds of milliseconds now and then.
    gc.collect()
    gc.freeze()
    relay = Relay(settings.relay, settings.rpc_timeout, stop) if settings.relay else None
    rules = TransactionRules(
        settings.fee_cap, settings.tip_cap, settings.replace_after, settings.confirmations, relay
    )
    return KeeperLoop(
        system,
        keepers,
        say,
        settings.gas_token,
        rules=rules,
        journal=settings.journal,
        dry=dry,
        brakes=LimitEnforcer(
            keepers, settings.limits, settings.most_failures, PausedRoles(settings.paused_roles_folder)
        ),
        gas_per_block=settings.gas_per_block,
        observer=observer,
    )


def _build_allowlist(
    may_sign: Mapping[str, Sequence[str]], keepers: Sequence[Keeper], system: LiveSystem
) -> CallAllowlist:
    """Return the allow-list of calls that the keepers' accounts may sign.

    An account in `may_sign` may call only the named functions (an empty list allows none). Any other account
    may call all contracts of the deployment, within the rules of CallAllowlist. Raise BackstopError for an
    unknown keeper, contract or function.
    """
    calls: dict[str, set[Call]] = {}
    accounts = {keeper.name: keeper.address for keeper in keepers}
    for name, methods in may_sign.items():
        if name not in accounts:
            raise BackstopError(
                f"may_sign: keeper {name!r} is unknown; expected one of {', '.join(accounts)}"
            )
        given = calls.setdefault(accounts[name], set())  # also where the list is empty: it allows nothing
        for each in methods:
            contract, _, method = each.partition(".")
            batch = system.mirror.liquidation_batch
            if batch is not None and contract == batch.kind:
                contract = batch.name
            if contract not in system.addresses:
                raise BackstopError(
                    f"may_sign.{name}: contract {contract!r} is unknown; expected one of the deployment"
                )
            found = [f for f in system.chain.get_abi(contract).by_selector.values() if f.name == method]
            if not found:
                raise BackstopError(f"may_sign.{name}: {contract} has no function {method!r}")
            address = system.addresses[contract].lower()
            given.update((address, f.selector) for f in found)
    contracts: dict[str, dict[bytes, Function]] = {}
    for contract, address in system.addresses.items():
        contracts.setdefault(address.lower(), {}).update(system.chain.get_abi(contract).by_selector)
    named: dict[str, set[str]] = {}
    for keeper in keepers:
        if keeper.group.to:
            named.setdefault(keeper.address, set()).add(keeper.group.to)
    return CallAllowlist(system.deployment.chain_id, contracts, calls, named)


def _build_keeper_with_account_strategy(
    keeper: Keeper,
    deployment: Deployment,
    named: dict[str, str],
    settings: KeeperSettings,
    say: Callable[[str], None],
) -> Keeper:
    """Return the keeper with its account, its strategy, and its sources of signed orders and reports."""

    def teller(event: str) -> Callable[[str], None]:
        return lambda text: say(Line(f"{keeper.name}: {text}", event, keeper=keeper.name))

    address = named.get(keeper.name, keeper.address)
    orders = open_matcher_order_file(keeper.group, deployment.addresses, deployment.chain_id, teller("order"))
    places, feed = keeper.group.reports, deployment.addresses["PriceFeed"]
    reports = open_report_sources(places, deployment.chain_id, feed, teller("reports")) if places else None
    ready = dataclasses.replace(keeper, address=address, orders=orders, reports=reports)
    wanted = settings.strategies.get(keeper.group.name)
    if wanted is None:
        return ready
    otherwise = MarketPriceStrategy() if wanted.otherwise == "built-in" else None
    strategy = FallbackStrategy(_start_strategy(wanted, keeper.name), otherwise, teller("strategy"))
    return dataclasses.replace(ready, strategy=strategy)


def _add_order_signer(keeper: Keeper, system: LiveSystem) -> Keeper:
    """Return the keeper with a function that signs margin orders, if its role signs orders.

    The keeper's own account signs. Any other keeper is returned unchanged.
    """
    if keeper.group.role not in SIGNERS or "MarginOrders" not in system.addresses:
        return keeper

    def sign(order: Order) -> bytes:
        digest = order_digest(order, system.deployment.chain_id, system.addresses["MarginOrders"])
        return system.host.signers.sign_digest(keeper.address, digest)

    return dataclasses.replace(keeper, sign_order=sign)


def _start_strategy(wanted: StrategySettings, role: str) -> Strategy:
    if wanted.command:
        program = ExternalStrategy(wanted.command, wanted.options, role, wanted.answer_within)
        program.start_program()  # one that cannot be used is told at once
        return program
    return load_strategy(wanted.kind, wanted.options)
