"""The cost of a call to its sender: gas from the committed table, in stablecoin."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from backstop.deployment.contracts_by_parameter_name import POOLS, name_stability_pool
from backstop.keepers.gas_table import read_gas_table
from backstop.model.arithmetic import RAY

# The jobs of the committed gas table that stand for calls.
_JOBS = {
    ("PriceFeed", "report"): "report",
    ("PriceFeed", "report_range"): "report",
    ("PriceFeed", "submit_signed_reports"): "submit signed reports",
    ("PriceFeed", "poke"): "price update",
    ("PriceFeed", "set_halted"): "halt",
    ("VaultEngine", "accrue"): "accrue",
    ("VaultEngine", "deposit_and_draw"): "open",
    ("VaultEngine", "repay_and_withdraw"): "repay part",
    ("LiquidationEngine", "liquidate"): "liquidate",
    ("LiquidationEngine", "liquidate_and_buy"): "discount: to the target",
    ("LiquidationEngine", "call"): "margin call",
    ("Workouts", "enter"): "enter workout",
    ("Workouts", "pay"): "pay instalment",
    ("Workouts", "foreclose"): "foreclose",
    ("Workouts", "unwind"): "unwind",
    ("CollateralAuction", "take"): "take all",
    ("CollateralAuction", "reset"): "reset",
    ("CollateralAuction", "close"): "close",
    ("LossWaterfall", "cover"): "cover",
    ("LossWaterfall", "repay_missed_share"): "cover",
    ("LiquidationEngine", "flag"): "flag vault",
    ("Workouts", "flag"): "flag workout",
    ("FlashTaker", "take_and_sell"): "flash take",
    ("FlashTaker", "liquidate_and_sell"): "discount: part, without capital",
    ("StakeAuction", "take"): "staked equity: take",
    ("StakeAuction", "end"): "staked equity: end",
    ("MintAuction", "take"): "recapitalise: take",
    ("MintAuction", "end"): "recapitalise: end",
    ("SurplusAuction", "start"): "sell surplus: start",
    ("SurplusAuction", "take"): "sell surplus: take",
    ("Treasury", "distribute"): "distribute",
    ("AutoCeiling", "adjust"): "adjust ceiling",
    ("CircuitBreaker", "raise_mode"): "raise mode, trigger",
    ("CircuitBreaker", "lower_mode"): "lower mode",
    ("CircuitBreaker", "force_mode"): "force mode",
    ("Settlement", "record_deficit_breach"): "record deficit breach",
    ("Settlement", "begin"): "begin settlement",
    ("CollateralAuction", "unwind"): "unwind",
    ("Settlement", "fix_price"): "fix price",
    ("Settlement", "skim"): "skim",
    ("Settlement", "cover_last"): "cover",
    ("Settlement", "fix_redemption_rates"): "fix redemption rates",
    ("Settlement", "redeem"): "redeem",
    ("Settlement", "cash"): "cash",
    ("MarginOrders", "fill"): "cycles: fill, new position",
    ("PerpetualCloser", "submit"): "cycles: submit",
    ("PerpetualCloser", "execute"): "cycles: execute",
    ("PerpetualCloser", "share"): "cycles: share",
    ("PerpetualMarket", "deposit"): "cycles: deposit",
    ("PerpetualMarket", "withdraw"): "cycles: withdraw",
    ("PerpetualMarket", "accrue"): "cycles: mark",
    ("PerpetualMarket", "seize_insolvent"): "cycles: seize insolvent",
    ("PerpetualMarket", "update_and_seize"): "cycles: update and seize",
    ("PerpetualMarket", "advance_cycle"): "cycles: advance with losses",
    ("PerpetualMarket", "post_shortfall"): "cycles: post shortfall",
    ("PerpetualMarket", "end_market"): "cycles: end market",
    ("PerpetualMarket", "update_account"): "cycles: close out",
    ("PerpetualTrading", "liquidate"): "cycles: liquidate",
    ("PerpetualTrading", "take"): "cycles: take",
    ("PerpetualLiquidityVault", "leave"): "liquidity vault: leave with profit",
    ("PerpetualLiquidityVault", "take"): "liquidity vault: take",
    ("PerpetualLiquidityVault", "liquidate"): "liquidity vault: liquidate",
    ("PerpetualLiquidityVault", "quote"): "liquidity vault: quote",
}


for _pool, _, _ in POOLS.values():
    _JOBS[_pool, "requestRedeem"] = "request"
    _JOBS[_pool, "cut"] = "cut batch"
    _JOBS[_pool, "settle"] = "settle batch"
    _JOBS[_pool, "withdraw"] = "claim"  # of what batches were paid
    _JOBS[_pool, "redeem"] = "redeem shares"
    _JOBS[_pool, "deposit"] = "deposit new"
    _JOBS[_pool, "add_income"] = "deposit again"  # it moves as much


# Of facilitators, whatever their names.
_JOBS_OF_FACILITATORS = {
    "draw": "facilitator: draw",
    "repay": "facilitator: repay",
    "announce_loss": "facilitator: announce loss",
    "realise_loss": "facilitator: realise loss",
}


# Jobs of stability pools: one gas figure for all types.
_JOBS_OF_STABILITY_POOLS = {
    "deposit": "stability pool: deposit",
    "admit": "stability pool: admit entries",
    "liquidate": "stability pool: liquidate",
    "claim": "stability pool: claim",
    "request_withdrawal": "stability pool: request a withdrawal",
    "withdraw": "stability pool: withdraw",
}


@cache
def _load_gas_table() -> Mapping[str, int]:
    return read_gas_table()


def get_job_gas(job: str) -> int:
    """Return the gas of a job (a measured operation) in the committed gas table.

    Raises KeyError if the table has no job of this name.
    """
    return _load_gas_table()[job]


def find_call_gas(contract: str, method: str) -> int | None:
    """Return the gas of a contract call from the committed gas table; None if the table has no job for it."""
    job = _find_job(contract, method)
    return None if job is None else _load_gas_table()[job]


def require_call_gas(contract: str, method: str) -> int:
    """Return the gas of a contract call from the committed gas table.

    The call must have a job in the table, as every call of a keeper has; otherwise an assertion fails.
    """
    job = _find_job(contract, method)
    assert job is not None, f"{contract}.{method} has no job"
    return _load_gas_table()[job]


def _find_job(contract: str, method: str) -> str | None:
    if contract.startswith(name_stability_pool("")):
        return _JOBS_OF_STABILITY_POOLS.get(method)
    return _JOBS.get((contract, method)) or _JOBS_OF_FACILITATORS.get(method)


def convert_gas_to_stablecoin(gas: int, gas_price: int, ether_price: int) -> int:
    """Return the cost of gas in stablecoin [wad], rounded up.

    `gas_price` is in wei, `ether_price` is the price of the gas coin [ray].
    """
    return -(-gas * gas_price * ether_price // RAY)
