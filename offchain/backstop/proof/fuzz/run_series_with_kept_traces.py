"""The runs of one worker, one after the other, and the traces that are worth keeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.errors import BackstopError
from backstop.hosts.artifacts import CONTRACTS, Artifacts
from backstop.hosts.host_registry import open_host
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.proof.fuzz.campaign_counts import CampaignCounts, format_paying_stage_indices
from backstop.proof.fuzz.fuzz_run import (
    BLOCK,
    FuzzRun,
    RunStep,
    derive_policy_balanced_run_seed,
    derive_steered_seed,
)
from backstop.proof.fuzz.planted_faults import FaultTrial, read_faults_yaml
from backstop.proof.fuzz.state_coverage import StateCoverage
from backstop.proof.fuzz.steering_targets import parse_steering_targets
from backstop.proof.properties import PropertyViolationError
from backstop.proof.replayable_trace import ProtocolTrace, write_trace_json

if TYPE_CHECKING:
    from backstop.proof.fuzz.model_branch_coverage import BranchMarks


class RunExecutor:
    """Executor of fuzz runs, each on a fresh deployment, that keeps traces with new coverage.

    Coverage of an earlier run counts as known in later runs.
    """

    def __init__(
        self,
        out: Path,
        host: str,
        seed: int,
        check_every: int,
        contracts: str | None = None,
        probes: BranchMarks | None = None,
        promises: bool = False,
        keeps_news: bool = True,
        planted: str | None = None,
    ) -> None:
        self.out = out
        self.host = host
        self.seed = seed
        self.check_every = check_every
        self.probes = probes
        self.promises = promises
        self.keeps_news = keeps_news
        self.artifacts = Artifacts(Path(contracts) if contracts else CONTRACTS)
        self._planted = read_faults_yaml(Path(planted)) if planted else []
        self._known: set[tuple[str | None, ...]] = set()
        self._branches = 0

    def play_run(
        self,
        index: int,
        steps: int,
        parameters: Parameters | None = None,
        targets: Sequence[Any] = (),
    ) -> dict[str, Any]:
        """Play one run; return its counts, its coverage, its failure if any, and its kept trace's file.

        Without `parameters` the run draws its own. It prefers moves that lead to the first of `targets`
        (wanted states) that its deployment can reach. Raises BackstopError if the host or the fuzzer itself
        fails.
        """
        tally, news, failure = CampaignCounts(), 0, ""
        wanted = parse_steering_targets(targets)
        with open_host(self.host) as host:
            machine = FuzzRun(
                host,
                derive_steered_seed(self.seed, index, wanted)
                if wanted
                else derive_policy_balanced_run_seed(self.seed, index),
                artifacts=self.artifacts,
                parameters=parameters,
                check_every=self.check_every,
                block=BLOCK if self.host == "anvil" else 1,
                traces=None,
                opened=False,
                promises=self.promises,
            )
            both = machine.both
            try:
                machine.add_adversarial_contracts_and_funding()
                observer = machine.start_state_observer(wanted)
                if self._planted:
                    machine.trial = FaultTrial(self._planted, both, observer)
                for played in machine.play_random_steps(steps):
                    tally.count_step(played, both.chain.kinds)
                    if self._has_new_feature(played, both.chain.kinds):
                        news = len(both.trace)
                both.compare_state()
                both.audit_storage()
            except PropertyViolationError as error:
                failure, kind = str(error), "violation"
            except DivergenceError as error:
                failure, kind = str(error), "difference"
            except BackstopError:
                raise  # the chain is lost, or the machine is wrong
            except Exception as error:  # a fault of the model is as good a find as a difference
                failure, kind = repr(error), "difference"
            trace = both.build_trace(failure)
        tally.questions.update({str(number): asked for number, asked in machine.asked.items()})
        result: dict[str, Any] = {"index": index, "tally": tally.to_json()}
        if failure:
            result["failure"] = {
                "kind": kind,
                "text": failure,
                "trace": self._write_run_trace(trace, "failures", index),
            }
        elif news and self.keeps_news:
            result["trace"] = self._write_run_trace(replace(trace, steps=trace.steps[:news]), "corpus", index)
        if machine.observer is not None:
            result["states"] = StateCoverage.from_run(machine.observer).to_json()
        if machine.trial is not None:
            result["reported"] = machine.trial.reported
        if self.probes is not None:
            result["branches"] = self.probes.reached.hex()
        return result

    def _has_new_feature(self, run_step: RunStep, contract_kinds: Mapping[str, str]) -> bool:
        """Return whether a step is the first with its revert reason, event or branch of the model.

        The set of waterfall stages that pay in a `cover` call counts as a feature too.
        """
        outcome = run_step.outcome
        features: list[tuple[str | None, ...]] = [
            ("reason", contract_kinds[run_step.action.contract], outcome.reason)
        ]
        features += [("event", contract_kinds[log.contract], log.event) for log in outcome.logs]
        if run_step.action.method == "cover" and outcome.ok:
            features.append(("cover", format_paying_stage_indices(run_step)))
        new = [feature for feature in features if feature not in self._known]
        self._known.update(new)
        branches = 0 if self.probes is None else self.probes.count_reached_branches()
        found = bool(new) or branches != self._branches
        self._branches = branches
        return found

    def _write_run_trace(self, trace: ProtocolTrace, folder: str, run_index: int) -> str:
        path = self.out / folder / f"{run_index:06}.json"
        write_trace_json(trace, path)
        return str(path.relative_to(self.out))
