"""Gas of users' and keepers' calls, measured on Anvil against Maker's dss on the same jobs.

dss: commit fa4f663, solc 0.6.12 with the optimiser, on Anvil (cancun), gasUsed after refunds. Ours: the
standard deployment with its fees running, an hour since the type was last touched, unlimited approvals, every
party having done it before unless the row says "new".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import NamedTuple

from backstop.deployment.example_parameters import build_guarded_parameters, build_standard_parameters
from backstop.hosts.anvil import AnvilHost
from benchmarks.gas.discount_gas import DiscountJobs
from benchmarks.gas.facilitator_gas import FacilitatorJobs
from benchmarks.gas.gas_jobs_base import GasJobs, disable_feed_deviation_and_grace
from benchmarks.gas.guard_gas import GuardJobs
from benchmarks.gas.liquidation_batch_gas import LiquidationBatchJobs
from benchmarks.gas.loss_gas import (
    IncomeJobs,
    NoCooldownPoolJobs,
    RecapitalisationJobs,
    SavingsPoolJobs,
    StageJobs,
    VaultFlagJobs,
)
from benchmarks.gas.margin_market_gas import (
    DormantAccountJobs,
    InsuredMarketJobs,
    ManyDebtorsJobs,
    MarginMarketJobs,
    MarketSettlementJobs,
    ProRataDeleveragingJobs,
    RankedDeleveragingJobs,
)
from benchmarks.gas.perpetual_vault_gas import PerpetualVaultGasJobs
from benchmarks.gas.stability_pool_gas import StabilityPoolJobs
from benchmarks.gas.vault_gas import GuardedVaultJobs, VaultJobs


class GasRow(NamedTuple):
    """One job's gas, the gas of the same job on dss, their ratio, and the highest ratio allowed.

    In rows "with guards" of GUARDED, `dss` is the gas of the job without guards.
    """

    name: str
    gas: int
    dss: int
    ratio: float
    goal: float

    @property
    def is_within_goal(self) -> bool:
        """True if the ratio of `gas` to `dss` is at most `goal`."""
        return self.gas <= self.goal * self.dss


# Jobs that dss has too: name -> (gas of dss, highest ratio).
GOALS: dict[str, tuple[int, float]] = {
    "open": (216_586, 0.60),
    "draw again": (175_546, 0.52),
    "repay part": (170_646, 0.55),
    "repay all": (170_608, 0.55),
    "accrue": (72_373, 0.70),
    "price update": (52_209, 1.00),
    "liquidate": (319_416, 0.60),
    "take part": (114_048, 0.75),
    "take all": (136_303, 0.75),
    "liquidate + take all": (455_719, 0.60),
    "reset": (113_584, 0.70),
    "recapitalise": (325_685, 0.55),
    "sell surplus": (367_036, 0.50),
    "fix price": (105_464, 0.80),
    "skim": (143_624, 0.80),
    "redeem": (69_317, 0.80),
    # Against a lean ERC-4626 vault.
    "deposit new": (72_638, 1.30),
    "deposit again": (55_538, 1.30),
    "liquidate with guards": (319_416, 0.60),
}
# What guards may add to new risk, against the same job without them.
GUARDED = 1.15


def measure_all_jobs() -> tuple[list[GasRow], dict[str, int]]:
    """Run every job, and return the rows that have a goal and the gas of all jobs by name.

    Each group of jobs runs on a fresh Anvil.
    """
    used: dict[str, int] = {}
    tables: list[Callable[[AnvilHost], GasJobs]] = [
        lambda host: VaultJobs(host, build_standard_parameters()),
        lambda host: GuardedVaultJobs(host, disable_feed_deviation_and_grace(build_guarded_parameters())),
        RecapitalisationJobs,
        IncomeJobs,
        SavingsPoolJobs,
        NoCooldownPoolJobs,
        VaultFlagJobs,
        LiquidationBatchJobs,
        DiscountJobs,
        StabilityPoolJobs,
        GuardJobs,
        FacilitatorJobs,
        ManyDebtorsJobs,
        RankedDeleveragingJobs,
        ProRataDeleveragingJobs,
        DormantAccountJobs,
        MarginMarketJobs,
        InsuredMarketJobs,
        MarketSettlementJobs,
        PerpetualVaultGasJobs,
        *(partial(StageJobs, name=name) for name in StageJobs.NAMES),
    ]
    for table in tables:
        with closing(AnvilHost()) as host:
            used |= table(host).measure_gas_by_job()
    rows = [
        GasRow(name, used[name], dss, round(used[name] / dss, 4), goal) for name, (dss, goal) in GOALS.items()
    ]
    rows += [
        GasRow(name, used[name], used[plain], round(used[name] / used[plain], 4), GUARDED)
        for name, plain in (("open with guards", "open"), ("draw again with guards", "draw again"))
    ]
    return rows, used
