"""Contract calls a second of the exact engine: the actions of one path after its opening, each way.

The yardstick is the usual way: the same actions as transactions on Anvil through web3.py, each receipt
awaited. The exact engine also decides all agents' actions, runs the model and compares.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import psutil
from web3 import Web3

from backstop.deployment.model_and_chain_deployment import deploy_protocol
from backstop.hosts.anvil import AnvilHost
from backstop.hosts.revm import RevmHost
from backstop.parallel.unordered_job_workers import build_process_workers
from backstop.proof.lockstep import ProtocolLockstep
from backstop.proof.replayable_trace import ProtocolTrace
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import Scenario, draw_scenario
from backstop.simulation.simulator import Simulation
from backstop.studies.stress.chunks import Chunk, run_chunk
from backstop.studies.stress.engines import Task
from backstop.studies.stress.exact_bytecode_engine import ExactEngine
from backstop.system import Action
from benchmarks.speed.fuzz_speed import begin_chain, encode_sender_contract_and_data

YARDSTICK = "web3.py transactions on Anvil, each receipt awaited"
AGAIN = 20
"""Times that a worker of the exact engine runs the path."""


class CallSpeed(NamedTuple):
    """Speed of one method to execute the contract calls of a path after its opening.

    `seconds` are by the clock, `cpu` are CPU seconds of all processes.
    """

    way: str
    calls: int
    seconds: float
    cpu: float  # seconds of all processes

    @property
    def rate(self) -> float:
        """Contract calls a second, by the clock."""
        return self.calls / self.seconds

    @property
    def cpu_seconds_per_call(self) -> float:
        """CPU seconds a call, which depend little on other users of the machine."""
        return self.cpu / self.calls


def measure_call_speeds(scenario: Scenario, seed: int) -> Iterator[CallSpeed]:
    """Yield the speed of each method for the same actions, the yardsticks first."""
    path = draw_scenario(scenario, seed, 0)
    with open_deployment_session(path, "model", seed) as session:
        run = Simulation(path, session, seed)
        run.open_book(lambda *_: None, lambda: False)
        opening = len(run.steps)
        run.run_blocks(lambda *_: None, lambda: False)
        trace = ProtocolTrace(run.steps, session.started_at, opening=opening, parameters=path.parameters)
    number = len(trace.steps) - opening
    yield _time_actions_on_anvil(YARDSTICK, trace, shares_blocks=False)
    yield _time_actions_on_anvil(
        "the same, a block and its receipts every five minutes", trace, shares_blocks=True
    )
    yield _time_action_replay("bytecode on revm, nothing compared", trace, compares_model=False)
    yield _time_action_replay(
        "bytecode on revm and model, compared, nobody decides", trace, compares_model=True
    )
    rows = ExactEngine(scenario, seed).run_paths
    rows(0, 1)  # deployed and opened
    began, spent = time.perf_counter(), sum_cpu_seconds_including_own()
    for _ in range(AGAIN):
        rows(0, 1)
    yield CallSpeed(
        "exact engine, 1 worker",
        number * AGAIN,
        time.perf_counter() - began,
        sum_cpu_seconds_including_own() - spent,
    )
    yield _time_path_on_workers("exact engine, 2 workers", Task(scenario, seed, "exact"), number, 2)


def _time_path_on_workers(way: str, task: Task, action_count: int, worker_count: int) -> CallSpeed:
    """Return the speed of the path on several processes, timed once all of them are busy.

    `action_count` is the number of actions of one path.
    """
    warm, began, spent = 2 * worker_count, 0.0, 0.0
    paths = warm + worker_count * AGAIN
    results = build_process_workers(worker_count)(run_chunk, (task,), [Chunk(0, 0, 1)] * paths)
    with closing(results):
        for done, _ in enumerate((each for each in results if each is not None), 1):
            if done == warm:
                began, spent = time.perf_counter(), sum_cpu_seconds_including_own(active_children())
            elif done == paths:
                seconds, used = (
                    time.perf_counter() - began,
                    sum_cpu_seconds_including_own(active_children()) - spent,
                )
    return CallSpeed(way, action_count * (paths - warm), seconds, used)


def _time_action_replay(way: str, trace: ProtocolTrace, compares_model: bool) -> CallSpeed:
    """Return the speed of replaying the path's recorded actions on revm.

    If `compares_model`, each action also runs on the model, and the states are compared.
    """
    played = trace.steps[trace.opening :]
    with closing(RevmHost(trace.started_at)) as host:
        _, model, chain = deploy_protocol(host, trace.parameters)
        assert chain is not None
        both = ProtocolLockstep(model, chain, parameters=trace.parameters, check_every=0)
        for step in trace.steps[: trace.opening]:
            both.play_step(step)
        calls = [
            (timestamp, encode_sender_contract_and_data(chain, action)) for timestamp, action, _ in played
        ]
        seconds = used = 0.0
        for _ in range(AGAIN):
            with both.fork_state():
                began, spent = time.perf_counter(), sum_cpu_seconds_including_own()
                if compares_model:
                    for step in played:
                        both.play_step(step)
                else:
                    for timestamp, call in calls:
                        host.set_time(timestamp)
                        host.run_transaction(*call)
                seconds, used = (
                    seconds + time.perf_counter() - began,
                    used + sum_cpu_seconds_including_own() - spent,
                )
    return CallSpeed(way, len(played) * AGAIN, seconds, used)


def _time_actions_on_anvil(way: str, trace: ProtocolTrace, shares_blocks: bool) -> CallSpeed:
    """Return the speed of sending the path's actions to Anvil by web3.py, and awaiting receipts.

    Each action has its own block, or all actions of one time have a common block if `shares_blocks`.
    """
    with closing(AnvilHost(trace.started_at)) as host:
        opened = ProtocolTrace(trace.steps[: trace.opening], trace.started_at, parameters=trace.parameters)
        chain = begin_chain(opened, host)
        web3, abis = Web3(Web3.IPCProvider(host.path)), chain.artifacts
        contracts = {
            name: web3.eth.contract(Web3.to_checksum_address(at), abi=abis[chain.kinds[name]].abi_json)
            for name, at in chain.addresses.items()
        }
        client, waiting, node = host.client, [], host.process.pid
        client.request("evm_setAutomine", False)  # blocks are made below
        began, spent, now = time.perf_counter(), sum_cpu_seconds_including_own() + _read_cpu_seconds(node), 0
        played = trace.steps[trace.opening :]
        for place, (timestamp, step, _) in enumerate(played, 1):
            assert isinstance(step, Action)
            if timestamp != now:
                client.request("evm_setNextBlockTimestamp", timestamp)
                now = timestamp
            function = contracts[step.contract].functions[step.method]  # of several, by the arguments
            sender = Web3.to_checksum_address(step.sender)
            terms = {"from": sender, "gas": 5_000_000, "gasPrice": Web3.to_wei(0, "wei")}
            waiting.append(function(*map(_to_checksum, step.args)).transact(terms))
            if not shares_blocks or place == len(played) or played[place].timestamp != now:
                client.request("evm_mine")
                for sent in waiting:
                    web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.001)
                waiting = []
        used = sum_cpu_seconds_including_own() + _read_cpu_seconds(node) - spent
        return CallSpeed(way, len(played), time.perf_counter() - began, used)


def _to_checksum(value: Any) -> Any:
    is_address = isinstance(value, str) and len(value) == 42 and value.startswith("0x")
    return Web3.to_checksum_address(value) if is_address else value


def sum_cpu_seconds_including_own(other_processes: Iterable[BaseProcess] = ()) -> float:
    """Return the CPU seconds of this process, its ended children, and other running processes."""
    return (
        time.process_time()
        + sum(os.times()[2:4])
        + sum(_read_cpu_seconds(other.pid) for other in other_processes)
    )


def _read_cpu_seconds(pid: int | None) -> float:
    """Return the CPU seconds of the running process with an id."""
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)
