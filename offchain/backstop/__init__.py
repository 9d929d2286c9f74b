"""Backstop off chain: the exact model, the hosts, keepers, scenarios and reports.

These names are for notebooks and scripts, each imported when it is first used. Nothing inside the package
imports them from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from backstop.files.installation import __version__

if TYPE_CHECKING:
    from backstop.live.operate.attached_deployment import attach
    from backstop.proof.local_protocol import open_protocol
    from backstop.report.result_kinds import write_page
    from backstop.simulation.run_directory import Run, load_run
    from backstop.simulation.scenario import load_scenario
    from backstop.simulation.simulator import simulate
    from backstop.simulation.sources.book_reader import read_book
    from backstop.simulation.sources.depth_reader import read_depth
    from backstop.simulation.sources.price_reader import read_prices
    from backstop.simulation.sources.scenario_builder import write_scenario
    from backstop.studies.calibration.fall_forecast_backtest import back_test
    from backstop.studies.calibration.owner_fit import fit_owners
    from backstop.studies.calibration.owner_history import read_owner_history
    from backstop.studies.calibration.scenario_calibration import calibrate
    from backstop.studies.comparison.preset_comparison import compare
    from backstop.studies.comparison.presets import load_presets
    from backstop.studies.risk_questions.bad_debt_at_risk import at_risk
    from backstop.studies.risk_questions.debt_ceiling import ceiling
    from backstop.studies.risk_questions.episode_outcomes import compare_episodes
    from backstop.studies.risk_questions.history_comparison import history
    from backstop.studies.risk_questions.largest_owners_debt_and_loss_shares import owners
    from backstop.studies.risk_questions.liquidations_at_price_drop import falls
    from backstop.studies.risk_questions.payers_by_system import payers
    from backstop.studies.risk_questions.proposal import proposal
    from backstop.studies.stress_study_function import study

__all__ = [
    "Run",
    "__version__",
    "at_risk",
    "attach",
    "back_test",
    "calibrate",
    "ceiling",
    "compare",
    "compare_episodes",
    "falls",
    "fit_owners",
    "history",
    "load_presets",
    "load_run",
    "load_scenario",
    "open_protocol",
    "owners",
    "payers",
    "proposal",
    "read_book",
    "read_depth",
    "read_owner_history",
    "read_prices",
    "simulate",
    "study",
    "write_page",
    "write_scenario",
]

_PLACES = {
    "Run": "backstop.simulation.run_directory",
    "at_risk": "backstop.studies.risk_questions.bad_debt_at_risk",
    "attach": "backstop.live.operate.attached_deployment",
    "back_test": "backstop.studies.calibration.fall_forecast_backtest",
    "calibrate": "backstop.studies.calibration.scenario_calibration",
    "ceiling": "backstop.studies.risk_questions.debt_ceiling",
    "compare": "backstop.studies.comparison.preset_comparison",
    "compare_episodes": "backstop.studies.risk_questions.episode_outcomes",
    "falls": "backstop.studies.risk_questions.liquidations_at_price_drop",
    "fit_owners": "backstop.studies.calibration.owner_fit",
    "history": "backstop.studies.risk_questions.history_comparison",
    "load_presets": "backstop.studies.comparison.presets",
    "load_run": "backstop.simulation.run_directory",
    "load_scenario": "backstop.simulation.scenario",
    "open_protocol": "backstop.proof.local_protocol",
    "owners": "backstop.studies.risk_questions.largest_owners_debt_and_loss_shares",
    "payers": "backstop.studies.risk_questions.payers_by_system",
    "proposal": "backstop.studies.risk_questions.proposal",
    "read_book": "backstop.simulation.sources.book_reader",
    "read_depth": "backstop.simulation.sources.depth_reader",
    "read_owner_history": "backstop.studies.calibration.owner_history",
    "read_prices": "backstop.simulation.sources.price_reader",
    "simulate": "backstop.simulation.simulator",
    "study": "backstop.studies.stress_study_function",
    "write_page": "backstop.report.result_kinds",
    "write_scenario": "backstop.simulation.sources.scenario_builder",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from backstop.files.installation import translate_missing_extra_errors

    with translate_missing_extra_errors():
        return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
