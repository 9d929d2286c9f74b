"""The section `parameters`: the protocol's configuration in a scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from backstop.deployment.contracts_by_parameter_name import POOLS, STAGES
from backstop.deployment.parameter_dataclasses import (
    CollateralParameters,
    EquityParameters,
    FacilitatorParameters,
    GuardsParameters,
    Parameters,
    PolicyParameters,
    PoolParameters,
    SettlementParameters,
    StageParameters,
    TimelockParameters,
    TreasuryParameters,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY
from backstop.model.redeem_queue import get_collecting_time
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.collateral_section import read_collateral_type, read_feed
from backstop.simulation.scenario.guards_section import read_flow_limit, read_guards
from backstop.simulation.scenario.margin_sections import read_margin_market
from backstop.simulation.scenario.yaml_document_reader import Field

# The scripted stage is for tests of the contracts.
_STAGES = tuple(name for name in STAGES if name != "scripted")

_OF_EQUITY = ("staked_equity", "minted_equity")
_NO_TREASURY = "needs the section parameters.equity: without it no treasury is deployed"


def read_parameters(field: Field, market_fields: Field, reporter_count: int) -> Parameters:
    """Read the section `parameters`: the configuration of the protocol.

    Market fees are read from `market_fields`, because they stand in another section.
    """
    section = field.read_section(
        (
            "global_debt_ceiling",
            "global_auction_limit",
            "epoch_length",
            "waterfall",
            "collateral_types",
        ),
        (
            "cap_delay",
            "pools",
            "equity",
            "treasury",
            "settlement",
            "guards",
            "facilitators",
            "margin",
            "timelock",
            "waterfall_contract",
            "discount_contract",
            "stability_pool_contract",
            "block_time",
        ),
    )
    types = section["collateral_types"].read_mapping_entries()
    if not 1 <= len(types) <= bounds.MAX_COLLATERAL_TYPES:
        section["collateral_types"].raise_error(f"must have 1 to {bounds.MAX_COLLATERAL_TYPES} entries")
    fees = {
        symbol: entry.read_mapping_entries()["fee"].read_bounded(quantity_units.read_basis_points, 0, 9_999)
        for symbol, entry in market_fields.read_mapping_entries().items()
        if isinstance(entry.value, dict) and "fee" in entry.value
    }
    waterfall = section["waterfall"].read_section((), _STAGES)
    if not section["waterfall"].read_mapping_entries():
        section["waterfall"].raise_error("needs at least one stage")
    optional: dict[str, Any] = {"equity": None}
    if "cap_delay" in section:
        optional["cap_delay"] = section["cap_delay"].read_bounded(
            quantity_units.read_seconds, 1, bounds.MAX_CAP_DELAY
        )
    if "equity" in section:
        optional["equity"] = _read_equity(section["equity"], reporter_count)
    for name in waterfall:
        if name in _OF_EQUITY and "equity" not in section:
            waterfall[name].raise_error("needs the section parameters.equity")
    if "treasury" in section:
        optional["treasury"] = _read_treasury(section["treasury"], "equity" in section)
    if "settlement" in section:
        optional["settlement"] = _read_settlement(section["settlement"])
    if "pools" in section:
        cap_delay = optional.get("cap_delay", Parameters.cap_delay)
        optional |= _read_pools(section["pools"], cap_delay, "equity" in section)
    listed = tuple(
        read_collateral_type(symbol, entry, fees.get(symbol, 0), reporter_count)
        for symbol, entry in types.items()
    )
    _check_stability_pool_shares(types, listed, optional)
    if "facilitators" in section:
        optional["facilitators"] = _read_facilitators(section["facilitators"], len(types))
    if "margin" in section:
        facilitators = [facilitator.name for facilitator in optional.get("facilitators", ())]
        optional["margin"] = read_margin_market(
            section["margin"], tuple(types), facilitators, "equity" in section
        )
    if "waterfall_contract" in section:
        known = ("LossWaterfall", "CalendarCapWaterfall")
        optional["waterfall_contract"] = section["waterfall_contract"].read_choice(known)
    if "discount_contract" in section:
        known = ("FixedDiscount", "PartialSaleDiscount")
        optional["discount_contract"] = section["discount_contract"].read_choice(known)
    if "stability_pool_contract" in section:
        known = ("StabilityPool", "InstantStabilityPool")
        optional["stability_pool_contract"] = section["stability_pool_contract"].read_choice(known)
    if "block_time" in section:
        optional["block_time"] = section["block_time"].read_bounded(
            quantity_units.read_seconds, 0, bounds.MAX_BLOCK_TIME
        )
    if "timelock" in section:
        optional["timelock"] = _read_timelock_times(section["timelock"])
    if "guards" in section:
        optional["guards"] = read_guards(section["guards"], tuple(types))
    elif any(facilitator.flow_cap for facilitator in optional.get("facilitators", ())) or any(
        each.policy != PolicyParameters() for each in listed
    ):
        optional["guards"] = GuardsParameters()
    return Parameters(
        collateral_types=listed,
        global_debt_ceiling=section["global_debt_ceiling"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_GLOBAL_DEBT_CEILING
        ),
        global_auction_limit=section["global_auction_limit"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_GLOBAL_DEBT_CEILING
        ),
        epoch_length=section["epoch_length"].read_bounded(
            quantity_units.read_seconds, bounds.MIN_EPOCH, bounds.MAX_EPOCH
        ),
        stages=tuple(_read_stage(name, waterfall[name]) for name in waterfall),
        **optional,
    )


def _read_pools(field: Field, cap_delay: int, has_treasury: bool) -> dict[str, PoolParameters]:
    section = field.read_section((), tuple(POOLS))
    pools = {name: _read_pool(section[name], name, cap_delay, has_treasury) for name in section}
    if sum(pool.income_share for pool in pools.values()) > BASIS_POINTS:
        field.raise_error("have more than 100% of income_share together")
    return pools


def _check_stability_pool_shares(
    types: Mapping[str, Field], listed: Sequence[CollateralParameters], optional: Mapping[str, Any]
) -> None:
    """Check that a treasury exists and can pay stability pools their shares of income.

    Raises BackstopError if there is no treasury, all shares exceed 100%, or too many pools have one.
    """
    pools = ("junior", "senior", "savings")
    total = sum(optional[name].income_share for name in pools if name in optional)
    recipients = len(pools)
    for symbol, each in zip(types, listed, strict=True):
        if each.stability_pool is None or not each.stability_pool.income_share:
            continue
        field = types[symbol].read_mapping_entries()["stability_pool"].read_mapping_entries()["income_share"]
        total, recipients = total + each.stability_pool.income_share, recipients + 1
        if optional["equity"] is None:
            field.raise_error(_NO_TREASURY)
        if total > BASIS_POINTS:
            field.raise_error("makes more than 100% together with the other pools: lower one of them")
        if recipients > bounds.MAX_RECIPIENTS:
            field.raise_error(f"is one of more than {bounds.MAX_RECIPIENTS} pools with a share: leave it out")


def _read_pool(field: Field, name: str, cap_delay: int, has_treasury: bool) -> PoolParameters:
    section = field.read_section(("cooldown",), ("vesting", "income_share", "contract"))
    cooldown = section["cooldown"].read_bounded(quantity_units.read_seconds, 0, bounds.MAX_COOLDOWN)
    if 0 < cooldown < bounds.MIN_COOLDOWN:
        section["cooldown"].raise_error(f"is under {bounds.MIN_COOLDOWN} s: write 0 s for none")
    # Members can leave before new caps count.
    until = cooldown + get_collecting_time(cooldown) + bounds.LOOK
    if cooldown and until >= cap_delay:
        section["cooldown"].raise_error(
            f"is too high: members are paid after {until} s, caps count after {cap_delay} s"
        )
    optional: dict[str, Any] = {}
    if "contract" in section:
        # A pool of equity is left while nothing of it is under auction, which the naive one knows nothing of.
        known = ("Pool",) if name == "staked_equity" else ("Pool", "InstantExitPool")
        optional["contract"] = section["contract"].read_choice(known)
        if optional["contract"] != "Pool" and cooldown != 0:
            section["cooldown"].raise_error(f"{optional['contract']} has no cooldown: write 0 s")
    if "vesting" in section:
        optional["vesting"] = section["vesting"].read_bounded(
            quantity_units.read_seconds, bounds.MIN_VESTING, bounds.MAX_VESTING
        )
    if "income_share" in section:
        share = section["income_share"]
        if name == "staked_equity":
            share.raise_error("income is stablecoin, and this pool holds equity")
        if not has_treasury:
            share.raise_error(_NO_TREASURY)
        optional["income_share"] = share.read_bounded(quantity_units.read_basis_points, 0, BASIS_POINTS)
    return PoolParameters(cooldown, **optional)


def _read_treasury(field: Field, has_equity: bool) -> TreasuryParameters:
    if not has_equity:
        field.raise_error(_NO_TREASURY)
    target = field.read_section(("target",))["target"]
    return TreasuryParameters(
        target.read_bounded(quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_GLOBAL_DEBT_CEILING)
    )


def _read_timelock_times(field: Field) -> TimelockParameters:
    section = field.read_section(("delay", "window", "retraction"))
    delay = section["delay"].read_bounded(
        quantity_units.read_seconds, bounds.MIN_LONGEST_DELAY, bounds.MAX_LONGEST_DELAY
    )
    return TimelockParameters(
        delay=delay,
        window=section["window"].read_bounded(
            quantity_units.read_seconds, bounds.MIN_EXECUTION_WINDOW, bounds.MAX_EXECUTION_WINDOW
        ),
        retraction=section["retraction"].read_bounded(quantity_units.read_seconds, bounds.MIN_DELAY, delay),
    )


def _read_settlement(field: Field) -> SettlementParameters:
    section = field.read_section(("delay", "bound", "epochs"))
    return SettlementParameters(
        delay=section["delay"].read_bounded(
            quantity_units.read_seconds, bounds.MIN_SETTLEMENT_DELAY, bounds.MAX_SETTLEMENT_DELAY
        ),
        bound=section["bound"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_GLOBAL_DEBT_CEILING
        ),
        epochs=section["epochs"].read_bounded(
            quantity_units.read_whole_number, 1, bounds.MAX_SETTLEMENT_EPOCHS
        ),
    )


def _read_equity(field: Field, reporters: int) -> EquityParameters:
    section = field.read_section(
        ("supply", "mint_cap", "buf", "floor", "duration", "surplus_lot", "feed"), ("conversion_price",)
    )
    conversion = section.get("conversion_price")
    return EquityParameters(
        supply=section["supply"].read_bounded(
            quantity_units.read_equity_as_whole_tokens, 0, bounds.MAX_EQUITY_SUPPLY
        ),
        mint_cap=section["mint_cap"].read_bounded(
            quantity_units.read_equity_as_whole_tokens, 0, bounds.MAX_MINT_CAP
        ),
        buf=section["buf"].read_bounded(quantity_units.read_basis_points, bounds.MIN_BUF, bounds.MAX_BUF),
        floor=section["floor"].read_bounded(
            quantity_units.read_basis_points, bounds.MIN_FLOOR, bounds.MAX_FLOOR
        ),
        duration=section["duration"].read_bounded(
            quantity_units.read_seconds, bounds.MIN_DURATION, bounds.MAX_DURATION
        ),
        surplus_lot=section["surplus_lot"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 1, bounds.MAX_SURPLUS_LOT
        ),
        conversion_price=(
            0
            if conversion is None
            else conversion.read_bounded(quantity_units.read_price_as_ray, 1, bounds.MAX_PRICE)
        ),
        feed=read_feed(section["feed"], reporters),
    )


def _read_stage(name: str, field: Field) -> StageParameters:
    section = field.read_section(("share",), ("amount",))
    amount = section.get("amount")
    return StageParameters(
        name,
        cap_absolute=None
        if amount is None
        else amount.read_bounded(quantity_units.read_stablecoin, 0, 10**30) * RAY,
        cap_bps=section["share"].read_bounded(quantity_units.read_basis_points, 0, 10_000),
    )


def _read_facilitators(field: Field, type_count: int) -> tuple[FacilitatorParameters, ...]:
    """Read the facilitators (bridges that draw stablecoin), by name.

    Their type numbers follow those of the collateral types.
    """
    entries = field.read_mapping_entries()
    if type_count + len(entries) > bounds.MAX_COLLATERAL_TYPES:
        field.raise_error(
            f"are too many: there may be {bounds.MAX_COLLATERAL_TYPES} types, facilitators included"
        )
    return tuple(_read_facilitator(name, entry) for name, entry in entries.items())


def _read_facilitator(name: str, field: Field) -> FacilitatorParameters:
    if re.fullmatch(r"[A-Z][A-Za-z0-9]{1,11}", name) is None:
        field.raise_error(f"{name!r} is not a name: 2 to 12 letters and digits, a capital first")
    section = field.read_section(("line", "delay"), ("minter", "flow"))
    found: dict[str, Any] = {}
    if "minter" in section:
        found["minter"] = section["minter"].text
    if "flow" in section:
        found |= read_flow_limit(section["flow"])
    return FacilitatorParameters(
        name=name,
        line=section["line"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_DEBT_CEILING
        ),
        delay=section["delay"].read_bounded(
            quantity_units.read_seconds, bounds.MIN_LOSS_DELAY, bounds.MAX_LOSS_DELAY
        ),
        **found,
    )
