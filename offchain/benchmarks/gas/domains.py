"""Gas of domains: what a bridge draws, pays back and loses."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.accounts import account
from backstop.deployment.examples import standard
from backstop.deployment.parameters import DomainParameters
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from benchmarks.gas.jobs import Jobs

# The first round writes new slots; the second is measured.
TIMES = 2


class Domains(Jobs):
    """Jobs on the standard deployment with one domain, whose receiver pays it back."""

    def __init__(self, host: AnvilHost) -> None:
        self.domain = DomainParameters("Rollup", line=10_000_000)
        super().__init__(host, replace(standard(), domains=(self.domain,)))
        self.do("Stablecoin", "approve", self.at("Rollup"), MAX_UINT256, sender="receiver")

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        used: dict[str, int] = {}
        for _ in range(TIMES):
            self.chain.advance(3_600)
            args = 1_000_000 * WAD, account("receiver")
            used["domain: draw"] = self.do("Rollup", "draw", *args, sender=self.domain.minter)
            used["domain: repay"] = self.do("Rollup", "repay", 100_000 * WAD, sender="receiver")
            used["domain: announce loss"] = self.do("Rollup", "announce_loss", WAD, sender="admin")
            self.chain.advance(self.domain.delay)
            used["domain: realise loss"] = self.do("Rollup", "realise_loss", sender="stranger")
        return used
