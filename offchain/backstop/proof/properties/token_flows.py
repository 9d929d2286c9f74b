"""Property of tokens: holdings of contracts move with their books, and receivers get their due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from inspect import getattr_static
from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.revert_conditions.call_context import ENGINE, CallContext
from backstop.proof.properties.stability_pool_calls import KINDS as STABILITY_POOLS

_BALANCES = ("balanceOf", "erc20.balanceOf")
_SALES, _WORKOUTS, _STABLE = "CollateralAuction", "Workouts", "Stablecoin"
_BOOKS = ("vaults", "ledger.salvage", "lots", "balances", "funds.assets", "line.queue")
Flow = tuple[str, str, int]
"""Token, account, and by how much its balance grows."""


def _collect_addresses(args: Any) -> set[Any]:
    """Return all strings among a call's arguments, nested ones included; these are addresses."""
    found = set()
    for each in args:
        if isinstance(each, str):
            found.add(each)
        elif isinstance(each, tuple | list):
            found |= _collect_addresses(each)
    return found


def _get_token_label(step: Transition, collateral_type: int) -> str:
    token = step.read_post_state(ENGINE, "terms.of_types", collateral_type).token
    return str(step.model.world.addresses[token].label)


def _check_vault_engine_tokens(
    step: Transition, changes: Changes, balance_changes: Counter[Any], addresses_in_arguments: set[Any]
) -> None:
    booked: Counter[int] = Counter()
    for _, (c, _), old, new in changes.get("vaults", ()):
        booked[c] += new.locked_collateral - old.locked_collateral
    for _, c, old, new in changes.get("ledger.salvage", ()):
        booked[c] += new - old
    for path, contract in (("lots", _SALES), ("balances", _WORKOUTS)):
        for name, _, old, new in changes.get(path, ()):
            if name == contract:
                booked[old.collateral_type] -= old.lot
                booked[new.collateral_type] += new.lot
    engine = step.get_contract(ENGINE).address
    if engine in addresses_in_arguments:
        return
    by_token: Counter[str] = Counter()
    for c, amount in booked.items():
        if amount:
            unit = 10 ** (18 - step.read_post_state(ENGINE, "terms.of_types", c).decimals)
            if amount % unit:
                raise PropertyViolationError(f"type {c} books {amount}, no whole units of its token")
            by_token[_get_token_label(step, c)] += amount // unit
    tokens = {token for token, holder in balance_changes if holder == engine} | by_token.keys()
    for token in tokens:
        if balance_changes[token, engine] != by_token[token]:
            more = balance_changes[token, engine]
            raise PropertyViolationError(
                f"{step.action.method}: the engine holds {more} more {token}, and books {by_token[token]}"
            )


def _check_pool_tokens(
    step: Transition, changes: Changes, balance_changes: Counter[Any], addresses_in_arguments: set[Any]
) -> None:
    booked: Counter[str] = Counter()
    for pool, _, old, new in changes.get("funds.assets", ()):
        # Balances of a stability pool's members come from sums too, and have properties of their own.
        if step.get_contract(pool).KIND not in STABILITY_POOLS:
            booked[pool] += new.booked - old.booked
    for pool, _, old, new in changes.get("line.queue", ()):
        booked[pool] += new.owed - old.owed
    for log in step.outcome.logs:
        # What all void shares leave in a pool of equity stays there, booked no more.
        if log.event == "NewGeneration" and step.get_contract(log.contract).KIND == "EquityPool":
            booked[log.contract] += log.values[2]
    addresses = step.model.world.addresses
    pools = {name: step.get_contract(name) for name in booked}
    for _, holder in balance_changes:
        contract: Any = addresses.get(holder)
        if contract is not None and contract.KIND in ("Pool", "EquityPool"):
            pools[contract.label] = contract
    for name, contract in pools.items():
        token = addresses[contract.asset_address].label
        if (
            contract.address not in addresses_in_arguments
            and balance_changes[token, contract.address] != booked[name]
        ):
            more = balance_changes[token, contract.address]
            raise PropertyViolationError(
                f"{step.action.method}: {name} holds {more} more {token}, and books {booked[name]}"
            )


def _iter_expected_flows(step: Transition) -> Iterable[Flow]:
    """Yield the expected change of token balance of each account that the call names.

    A contract that uses another token as its stablecoin or equity is left out.
    """
    call = CallContext(step)
    found = _FLOWS.get((call.contract.KIND, call.method))
    for flow in found(call, *call.args) if found is not None else ():
        token, wired = step.model.world.contracts.get(flow[0]), f"{flow[0].lower()}_address"
        is_wired = getattr_static(call.contract, wired, None) is not None
        if token is not None and (not is_wired or getattr(call.contract, wired) == token.address):
            yield flow


def _list_event_values(call: CallContext, event: str) -> list[Any]:
    logs = call.step.outcome.logs
    return [log.values for log in logs if (log.contract, log.event) == (call.name, event)]


def _convert_to_token_units(call: CallContext, collateral_type: int, amount: int) -> int:
    return int(amount // 10 ** (18 - call.read_engine_slot("terms.of_types", collateral_type).decimals))


def _iter_draw_token_flows(
    call: CallContext, collateral_type: int, owner: str, deposit: int, draw: int, to: str
) -> Iterable[Flow]:
    yield (
        _get_token_label(call.step, collateral_type),
        call.sender,
        -_convert_to_token_units(call, collateral_type, deposit),
    )
    yield _STABLE, to, draw


def _iter_withdrawal_token_flows(
    call: CallContext, collateral_type: int, owner: str, repay: int, withdraw: int, to: str
) -> Iterable[Flow]:
    yield (
        _get_token_label(call.step, collateral_type),
        to,
        _convert_to_token_units(call, collateral_type, withdraw),
    )
    supply = "erc20.totalSupply"
    yield _STABLE, call.sender, call.step.read_post_state(_STABLE, supply) - call.read(_STABLE, supply)


def _iter_auction_take_token_flows(
    call: CallContext, auction_id: int, most: int, price: int, to: str, data: bytes
) -> Iterable[Flow]:
    if data:
        return
    c = call.read_own_slot("lots", auction_id).collateral_type
    for _, taker, amount, paid, _ in _list_event_values(call, "Taken"):
        yield _get_token_label(call.step, c), to, _convert_to_token_units(call, c, amount)
        yield _STABLE, taker, -paid


def _iter_reward_token_flows(call: CallContext, *args: Any) -> Iterable[Flow]:
    budgets = [
        (log.values[0], log.values[-1])
        for log in call.step.outcome.logs
        if log.event in ("Liquidated", "AuctionReset")
    ]
    for _, reward in budgets:
        yield _STABLE, args[-1], reward


def _iter_discount_sale_token_flows(
    call: CallContext,
    collateral_type: int,
    owner: str,
    most: int,
    most_paid: int,
    price: int,
    to: str,
    data: bytes,
) -> Iterable[Flow]:
    if data:
        return
    for _, _, buyer, amount, fee, paid, _ in _list_event_values(call, "CollateralSold"):
        units = _convert_to_token_units(call, collateral_type, amount - fee)
        yield _get_token_label(call.step, collateral_type), to, units
        yield _STABLE, buyer, -paid


def _iter_pool_liquidation_token_flows(call: CallContext, owners: Iterable[str], to: str) -> Iterable[Flow]:
    c, rewards = call.contract.collateral_type, 0
    unit = 10 ** (18 - call.read_engine_slot("terms.of_types", c).decimals)
    for log in call.step.outcome.logs:
        if (log.contract, log.event) == ("LiquidationEngine", "CollateralSold"):
            sent = log.values[3] - log.values[4]
            rewards += sent * call.contract.reward // BASIS_POINTS // unit
    yield _get_token_label(call.step, c), to, rewards


def _iter_pool_claim_token_flows(call: CallContext, to: str, has_reinvestment: bool) -> Iterable[Flow]:
    c = call.contract.collateral_type
    collateral, income = call.step.outcome.value
    yield _get_token_label(call.step, c), to, _convert_to_token_units(call, c, collateral)
    yield _STABLE, to, 0 if has_reinvestment else income


def _get_called_pool_asset_label(call: CallContext) -> str:
    return str(call.step.model.world.addresses[call.contract.asset_address].label)


def _iter_deposit_token_flows(call: CallContext, amount: int, to: str) -> Iterable[Flow]:
    for sender, _, assets, _ in _list_event_values(call, "Deposit"):
        yield _get_called_pool_asset_label(call), sender, -assets


def _iter_pool_exit_token_flows(call: CallContext, amount: int, to: str, owner: str) -> Iterable[Flow]:
    for _, _, _, assets, _ in _list_event_values(call, "Withdraw"):
        yield _get_called_pool_asset_label(call), to, assets


def _iter_redemption_token_flows(call: CallContext, collateral_type: int, amount: int) -> Iterable[Flow]:
    yield (
        _get_token_label(call.step, collateral_type),
        call.sender,
        _convert_to_token_units(call, collateral_type, call.step.outcome.value),
    )


def _iter_equity_take_token_flows(
    call: CallContext, collateral_type: int, most: int, price: int, to: str, data: bytes
) -> Iterable[Flow]:
    if data:
        return
    for _, taker, amount, paid, _ in _list_event_values(call, "Taken"):
        yield "Equity", to, amount
        yield _STABLE, taker, -paid


def _iter_surplus_take_token_flows(
    call: CallContext, most: int, price: int, to: str, data: bytes
) -> Iterable[Flow]:
    if data:
        return
    for taker, amount, paid, _ in _list_event_values(call, "Taken"):
        yield _STABLE, to, amount
        yield "Equity", taker, -paid


def _iter_note_redemption_token_flows(call: CallContext, notes: int) -> Iterable[Flow]:
    yield call.name, call.sender, -notes
    yield _STABLE, call.sender, call.step.outcome.value


def _get_coin_label(call: CallContext) -> str:
    return str(call.step.model.world.addresses[call.contract.coin_address].label)


def _iter_coin_deposit_token_flows(call: CallContext, amount: int, to: str) -> Iterable[Flow]:
    yield _get_coin_label(call), call.sender, -amount
    yield _STABLE, to, amount * call.contract.unit


def _iter_coin_withdrawal_token_flows(call: CallContext, amount: int, to: str) -> Iterable[Flow]:
    yield _STABLE, call.sender, -amount * call.contract.unit
    yield _get_coin_label(call), to, amount


_FLOWS: dict[tuple[str, str], Any] = {
    (ENGINE, "deposit_and_draw"): _iter_draw_token_flows,
    (ENGINE, "repay_and_withdraw"): _iter_withdrawal_token_flows,
    (ENGINE, "give_to_reserve"): lambda x, amount: [(_STABLE, x.sender, -amount)],
    ("LiquidationEngine", "liquidate"): _iter_reward_token_flows,
    ("LiquidationEngine", "liquidate_and_buy"): _iter_discount_sale_token_flows,
    (_SALES, "reset"): _iter_reward_token_flows,
    (_SALES, "take"): _iter_auction_take_token_flows,
    (_WORKOUTS, "pay"): lambda x, auction_id, amount: [(_STABLE, x.sender, -x.step.outcome.value)],
    **{
        (kind, way): _iter_deposit_token_flows
        for kind in ("Pool", "EquityPool")
        for way in ("deposit", "mint")
    },
    **{
        (kind, way): _iter_pool_exit_token_flows
        for kind in ("Pool", "EquityPool")
        for way in ("redeem", "withdraw")
    },
    **{
        (kind, "add_income"): lambda x, assets: [(_get_called_pool_asset_label(x), x.sender, -assets)]
        for kind in ("Pool", "EquityPool")
    },
    **{
        (kind, method): flows
        for kind in STABILITY_POOLS
        for method, flows in (
            ("liquidate", _iter_pool_liquidation_token_flows),
            ("claim", _iter_pool_claim_token_flows),
            ("add_income", lambda x, assets: [(_STABLE, x.sender, -assets)]),
        )
    },
    ("StabilityPool", "deposit"): lambda x, amount: [(_STABLE, x.sender, -amount)],
    ("StabilityPool", "withdraw"): lambda x, owner: [(_STABLE, owner, x.step.outcome.value)],
    ("StabilityPool", "request_withdrawal"): lambda x, amount: [(_STABLE, x.sender, 0)],
    ("StabilityPool", "admit"): lambda x: [(_STABLE, x.sender, 0)],
    ("EquityAuction", "take"): _iter_equity_take_token_flows,
    ("SurplusAuction", "take"): _iter_surplus_take_token_flows,
    ("RecoveryClaims", "repay"): lambda x, amount: [(_STABLE, x.sender, -x.step.outcome.value)],
    ("RecoveryClaims", "collect"): lambda x, owner, of: [(_STABLE, owner, x.step.outcome.value)],
    ("RecoveryClaims", "convert"): lambda x, tokens, to: [("Equity", to, x.step.outcome.value)],
    ("Settlement", "cash"): _iter_redemption_token_flows,
    ("Settlement", "redeem"): lambda x, amount: [(_STABLE, x.sender, -amount)],
    ("BridgeFacilitator", "draw"): lambda x, amount, to: [(_STABLE, to, amount)],
    ("BridgeFacilitator", "repay"): lambda x, amount: [(_STABLE, x.sender, -x.step.outcome.value)],
    ("BridgeFacilitator", "recover"): lambda x, amount: [(_STABLE, x.sender, -x.step.outcome.value)],
    ("BridgeFacilitator", "redeem"): _iter_note_redemption_token_flows,
    ("CoinAdapter", "deposit"): _iter_coin_deposit_token_flows,
    ("CoinAdapter", "withdraw"): _iter_coin_withdrawal_token_flows,
    ("CoinAdapter", "pay_protocol"): lambda x: [
        (_get_coin_label(x), x.contract.protocol, x.step.outcome.value)
    ],
}


@transition_property(201, writes=[*_BALANCES, *_BOOKS], calls=sorted({f"*.{method}" for _, method in _FLOWS}))
def token_balances_follow_bookings(step: Transition, changes: Changes) -> None:
    """Check that token balances change exactly as the contracts' books require (property 201).

    This concerns the vault engine and pools, and the payer and receiver of each call. Contracts among the
    call's arguments are left out, because donations to them are not booked. Raises PropertyViolationError
    otherwise.
    """
    moved: Counter[tuple[str, str]] = Counter()
    for path in _BALANCES:
        for contract, holder, old, new in changes.get(path, ()):
            moved[contract, holder] += new - old
    given = _collect_addresses(step.action.args)
    _check_vault_engine_tokens(step, changes, moved, given)
    _check_pool_tokens(step, changes, moved, given)
    flows: Counter[tuple[str, str]] = Counter()
    holders = {step.get_contract(ENGINE).address, *step.model.world.addresses}
    for token, account, amount in _iter_expected_flows(step):
        flows[token, account] += amount
    for (token, account), amount in flows.items():
        if account not in holders and moved[token, account] != amount:
            raise PropertyViolationError(
                f"{step.action.method}: {account} has {moved[token, account]} more {token}, not {amount}"
            )
