"""Gas of facilitators: a bridge's draws, repayments and losses."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import FacilitatorParameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from benchmarks.gas.gas_jobs_base import GasJobs

# The first round writes new slots; the second is measured.
TIMES = 2


class FacilitatorJobs(GasJobs):
    """Measured jobs of one facilitator, a minter of uncollateralised stablecoins such as a bridge.

    The receiver of the stablecoins repays them.
    """

    def __init__(self, host: AnvilHost) -> None:
        self.facilitator = FacilitatorParameters("Rollup", line=10_000_000)
        super().__init__(host, replace(build_standard_parameters(), facilitators=(self.facilitator,)))
        self.send_call_and_return_gas(
            "Stablecoin", "approve", self.get_address("Rollup"), MAX_UINT256, sender="receiver"
        )

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "facilitator: draw", by job name."""
        used: dict[str, int] = {}
        for _ in range(TIMES):
            self.chain.advance(3_600)
            args = 1_000_000 * WAD, get_account("receiver")
            used["facilitator: draw"] = self.send_call_and_return_gas(
                "Rollup", "draw", *args, sender=self.facilitator.minter
            )
            used["facilitator: repay"] = self.send_call_and_return_gas(
                "Rollup", "repay", 100_000 * WAD, sender="receiver"
            )
            used["facilitator: announce loss"] = self.send_call_and_return_gas(
                "Rollup", "announce_loss", WAD, sender="admin"
            )
            self.chain.advance(self.facilitator.delay)
            used["facilitator: realise loss"] = self.send_call_and_return_gas(
                "Rollup", "realise_loss", sender="stranger"
            )
        return used
