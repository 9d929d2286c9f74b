"""Gas of domains: what a bridge draws, pays back and loses."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.deployment_parameters import DomainParameters
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from benchmarks.gas.gas_jobs import GasJobs

# The first round writes new slots; the second is measured.
TIMES = 2


class DomainJobs(GasJobs):
    """Jobs on the standard deployment with one domain, whose receiver pays it back."""

    def __init__(self, host: AnvilHost) -> None:
        self.domain = DomainParameters("Rollup", line=10_000_000)
        super().__init__(host, replace(build_standard_parameters(), domains=(self.domain,)))
        self.do("Stablecoin", "approve", self.get_address("Rollup"), MAX_UINT256, sender="receiver")

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        used: dict[str, int] = {}
        for _ in range(TIMES):
            self.chain.advance(3_600)
            args = 1_000_000 * WAD, get_account("receiver")
            used["domain: draw"] = self.do("Rollup", "draw", *args, sender=self.domain.minter)
            used["domain: repay"] = self.do("Rollup", "repay", 100_000 * WAD, sender="receiver")
            used["domain: announce loss"] = self.do("Rollup", "announce_loss", WAD, sender="admin")
            self.chain.advance(self.domain.delay)
            used["domain: realise loss"] = self.do("Rollup", "realise_loss", sender="stranger")
        return used
