"""The numbered properties: of a state, of a step, and of what would happen if."""

# The one place that makes all of them known: a module registers its properties when it is imported.
from backstop.proof.properties import (  # noqa: F401
    adaptive_fees,
    alike,
    announcements,
    auction_clocks,
    auction_proceeds,
    call_order,
    capped_withdrawals,
    caps,
    clocks,
    closing,
    counterfactual,
    cycles,
    depositors,
    domain_money,
    domains,
    doubt,
    equity_sales,
    failures,
    falls,
    fees,
    final_prices,
    guards,
    holders,
    income_vesting,
    known_prices,
    limits,
    lineup,
    notice,
    pools,
    prices,
    redistribution_surcharge,
    rights,
    risk_margins,
    sales,
    settlement_epochs,
    stage_list,
    stages,
    state,
    treasury,
    vaults,
    workout_clocks,
    workouts,
)
from backstop.proof.properties.counterfactual import ask
from backstop.proof.properties.registry import COUNTERFACTUAL_PROPERTIES, Question, Violation, asserts
from backstop.proof.properties.state import check_state
from backstop.proof.properties.transition import Transition, Watch, check_refused, check_transition

__all__ = [
    "COUNTERFACTUAL_PROPERTIES",
    "Question",
    "Transition",
    "Violation",
    "Watch",
    "ask",
    "asserts",
    "check_refused",
    "check_state",
    "check_transition",
]
