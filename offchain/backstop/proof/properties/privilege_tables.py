"""Parameters and methods with restricted callers, and the roles that may use them: tables of property 18."""

from __future__ import annotations

from backstop.model.circuit_breaker import State
from backstop.model.equity import Issue
from backstop.model.interfaces import Debts
from backstop.model.ledger import Auctions, Balance, Income
from backstop.model.perpetual_liquidity_vault import KEEPER
from backstop.model.price_feed import Config
from backstop.model.risk_policy import Flow, Modes
from backstop.model.roles import MINTER, SHORTFALL, STAGE
from backstop.model.settlement import Progress
from backstop.model.stage_order import Lineup
from backstop.model.treasury import Plan

# Path of a table -> the fields of its records that are parameters; None where all of it is.
PARAMETERS: dict[str, tuple[int, ...] | None] = {
    # Of auctions, automatic ceilings, workouts, the risk policy, the margin market's policy.
    "terms": None,
    # The liquidation engine.
    "mechanism_of": None,
    # The vault engine.
    "terms.listed": None,
    "terms.of_types": None,
    "terms.collateral_types": None,
    "terms.risk_policy": None,
    "terms.global_auction_limit": None,
    "ledger.debts": (Debts._fields.index("buffer_share"),),
    "ledger.income": (Income._fields.index("stability_fee"),),
    "ledger.auctions": tuple(Auctions._fields.index(name) for name in ("limit", "has_mechanism")),
    "ledger.system": (Balance._fields.index("global_debt_ceiling"),),
    # The risk policy; its "terms" are above.
    "flows": tuple(Flow._fields.index(name) for name in ("cap", "window", "line", "speed")),
    "growths": None,
    "calls": None,
    "modes": tuple(Modes._fields.index(name) for name in ("caution_margin", "emergency_factor")),
    # The price feed; a report is its reporter's, and what a guard is at follows the prices.
    "configs": tuple(range(Config._fields.index("suspect"))),
    "reporters": None,
    "reporter_index": None,
    "reports": None,
    "issuer_of": None,
    "halt_again_at": None,
    # The waterfall: the order is set once; stages that come and go, and caps, by a timelock.
    "order_hash": None,
    "proposed_hash": None,
    "stages_ready_at": None,
    "lineup": tuple(Lineup._fields.index(name) for name in ("stages", "known", "asynchronous", "order")),
    "condemned": None,
    "ids": None,
    "stages": None,
    "caps_absolute": None,
    # Equity and the treasury.
    "issue": (Issue._fields.index("mint_cap"),),
    "plan": (Plan._fields.index("target"),),
    "shares": None,
    "insuring": None,
    # Settlement: when it may begin.
    "progress": (Progress._fields.index("announced_for"),),
    # The circuit breaker; its mode has a property of its own.
    "triggers": None,
    "state": (State._fields.index("calm_period"),),
    # The margin market's policy and fund; its "terms" are above.
    "underlyings": None,
    "markets": None,
    "cap": None,
    # Of the backstop pool.
    "limit": None,
    # The timelock administers itself; its proposals have a property of their own.
    "governor": None,
    "guardian": None,
    "delays": None,
    # Every contract with an admin.
    "roles.admin": None,
    "roles.pending_admin": None,
    "roles.access_control.hasRole": None,
}

# Calls between contracts, and the only contract or the role that may make them.
DOORS: dict[tuple[str, str], str | bytes] = {
    ("Stablecoin", "mint"): "VaultEngine",
    ("Stablecoin", "burn"): "VaultEngine",
    ("Stablecoin", "burn_allowed"): "VaultEngine",
    ("VaultEngine", "seize"): "LiquidationEngine",
    ("VaultEngine", "set_called"): "LiquidationEngine",
    ("VaultEngine", "note_mechanism"): "LiquidationEngine",
    ("RiskPolicy", "check_new_risk"): "VaultEngine",
    ("RiskPolicy", "reprice"): "VaultEngine",
    ("RiskPolicy", "set_mode"): "CircuitBreaker",
    ("VaultEngine", "release"): "CollateralAuction",
    ("VaultEngine", "settle_take"): "CollateralAuction",
    ("VaultEngine", "write_off"): "CollateralAuction",
    ("VaultEngine", "reward"): "CollateralAuction",
    ("VaultEngine", "take_salvage"): "CollateralAuction",
    ("VaultEngine", "unwind"): "CollateralAuction",
    ("VaultEngine", "begin_settlement"): "Settlement",
    ("VaultEngine", "skim"): "Settlement",
    ("VaultEngine", "net"): "Settlement",
    ("VaultEngine", "redeem"): "Settlement",
    ("VaultEngine", "pay_out"): "Settlement",
    ("VaultEngine", "cover_from_buffer"): STAGE,
    ("VaultEngine", "cover_from_reserve"): STAGE,
    ("VaultEngine", "cover_from_tokens"): STAGE,
    ("VaultEngine", "give_to_reserve"): STAGE,
    ("VaultEngine", "cover_from_buyer"): "LossWaterfall",
    ("VaultEngine", "cover_by_redistribution"): STAGE,
    ("CollateralAuction", "start"): "LiquidationEngine",
    ("CollateralAuction", "write_off"): "LiquidationEngine",
    ("CollateralAuction", "settle_sale"): "LiquidationEngine",
    ("CollateralAuction", "set_minimum"): "VaultEngine",
    ("CollateralAuction", "reserve_id"): "Workouts",
    ("CollateralAuction", "settle_payment"): "Workouts",
    ("CollateralAuction", "foreclose"): "Workouts",
    ("CollateralAuction", "unwind_workout"): "Workouts",
    ("LiquidationEngine", "move_to_workout"): "Workouts",
    ("LossWaterfall", "recognise"): "VaultEngine",
    ("LossWaterfall", "wind_up"): "VaultEngine",
    ("LossWaterfall", "close_books"): "VaultEngine",
    ("Equity", "mint"): MINTER,
    ("Equity", "reserve_mint"): "MintAuction",
    ("Equity", "release_mint"): "MintAuction",
    ("Equity", "mint_reserved"): "MintAuction",
    ("PerpetualMarket", "execute_trade"): "PerpetualTrading",
    ("PerpetualMarket", "reward"): "PerpetualTrading",
    ("PerpetualTrading", "trade"): "MarginOrders",
    ("PerpetualTrading", "deleverage"): "PerpetualCloser",
    ("MarginFund", "lock"): "PerpetualMarket",
    ("MarginFund", "absorb"): "PerpetualMarket",
    ("MarginFund", "cover"): "PerpetualMarket",
    ("MarginFund", "add_fees"): "PerpetualMarket",
    ("PerpetualLiquidityVault", "take"): KEEPER,
    ("PerpetualLiquidityVault", "liquidate"): KEEPER,
    ("Perpetuals", "mint_for_loss"): SHORTFALL,
    ("VaultEngine", "spend_reserve"): "Treasury",
    ("Treasury", "sell"): "SurplusAuction",
    ("StakedEquity", "slash"): "StakeAuction",
    ("StakedEquity", "restore"): "StakeAuction",
    **{
        (stage, "absorb"): "LossWaterfall"
        for stage in ("StakeAuction", "MintAuction", "ClawbackStage", "BufferStage", "ReserveStage")
    },
    ("RedistributionStage", "absorb"): "LossWaterfall",
    **{(pool, "absorb"): "LossWaterfall" for pool in ("Junior", "Senior", "Savings")},
    **{(pool, "claw_back"): "ClawbackStage" for pool in ("Junior", "Senior", "Savings")},
    **{(f"{pool}.Claims", "record"): pool for pool in ("Junior", "Senior", "Savings")},
    **{(f"{pool}.Claims", "issue"): pool for pool in ("Junior", "Senior", "Savings")},
}
