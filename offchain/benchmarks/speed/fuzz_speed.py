"""Speed of one fuzz campaign in every way to run it, and where its time goes.

The steps are those of the machine (`backstop.proof.fuzz`), on fresh deployments. The yardstick is Ape users'
usual way: a contract call on Anvil, its receipt awaited, nothing compared.
"""

from __future__ import annotations

import gc
import io
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

from eth_typing import HexStr
from web3 import Web3

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.model_and_chain_deployment import add_contract_model, create_chain, create_model
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.files.atomic_files import write_json
from backstop.hosts.anvil import AnvilHost, RpcHost
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.contract_creation import Creation, deploy_at_planned_address
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.hosts.host_registry import open_host
from backstop.hosts.model_system import ModelSystem
from backstop.hosts.revm import RevmHost
from backstop.hosts.rpc_client import NodeClient
from backstop.proof.fuzz.fuzz_run import BLOCK, FuzzRun
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import ProtocolTrace
from backstop.system import Action
from benchmarks.speed.speed_comparison_row import SpeedRow

SCHEMA_VERSION = 2
YARDSTICK = "Ape contract calls on Anvil, nothing compared"
RUNS, RUN_LENGTH = 20, 1_000
# Slow ways take the first steps only.
APE_STEPS, WEB3_STEPS, ANVIL_STEPS = 60, 300, 1_000


class FuzzSpeed(NamedTuple):
    """Number of steps by one method and their seconds, without deployment and opening."""

    way: str
    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.seconds


class RecordedCampaign(NamedTuple):
    """Recorded steps of a fuzz campaign, its speed, and the number of its moves of each kind."""

    traces: list[ProtocolTrace]
    speed: FuzzSpeed
    mix: Counter[str]


def record_timed_campaign_on_revm(run_count: int = RUNS, steps_per_run: int = RUN_LENGTH) -> RecordedCampaign:
    """Run a fuzz campaign on revm, and return its recorded steps and its speed."""
    traces, mix, seconds = [], Counter[str](), 0.0
    artifacts = Artifacts()
    for seed in range(run_count):
        with open_host("revm") as host:
            machine = FuzzRun(host, seed, artifacts=artifacts)
            began = _collect_garbage_and_read_clock()
            mix.update([played.move for played in machine.play_random_steps(steps_per_run)])
            seconds += time.perf_counter() - began
            traces.append(machine.both.build_trace())
    return RecordedCampaign(
        traces, FuzzSpeed("campaign on revm, all state each 100", run_count * steps_per_run, seconds), mix
    )


def measure_fuzz_speeds(campaign: RecordedCampaign) -> Iterator[FuzzSpeed]:
    """Yield the speed of each method to run the campaign's steps, the yardstick first."""
    traces = campaign.traces
    yield _measure_fuzz_speed(YARDSTICK, traces[:1], APE_STEPS, _time_ape)
    yield _measure_fuzz_speed("web3.py on Anvil, nothing compared", traces[:1], WEB3_STEPS, _time_web3)
    yield _measure_fuzz_speed(
        "lockstep on Anvil, each step a block", traces[:1], ANVIL_STEPS, _make_lockstep_timer("anvil", 1)
    )
    yield _measure_fuzz_speed(
        f"lockstep on Anvil, {BLOCK} steps a block",
        traces[:3],
        3 * ANVIL_STEPS,
        _make_lockstep_timer("anvil", BLOCK),
    )
    yield _measure_fuzz_speed(
        "lockstep on revm, all state each step", traces[:3], 3_000, _make_lockstep_timer("revm", 1, 1)
    )
    yield campaign.speed
    yield _measure_fuzz_speed("model alone", traces, RUNS * RUN_LENGTH, _time_model)


def measure_seconds_by_part(campaign: RecordedCampaign) -> dict[str, float]:
    """Return the seconds that each part of the campaign takes, by the part's name.

    The same steps are run through each part alone; other parts are differences.
    """
    traces, total = campaign.traces, campaign.speed.seconds
    steps = campaign.speed.steps
    together = _measure_fuzz_speed("", traces, steps, _make_lockstep_timer("revm", 1)).seconds
    model = _measure_fuzz_speed("", traces, steps, _time_model).seconds
    evm = _measure_fuzz_speed("", traces, steps, _measure_total_raw_call_seconds).seconds
    chain = _measure_fuzz_speed("", traces, steps, _time_chain).seconds
    return {
        "EVM": evm,
        "codec": chain - evm,
        "model": model,
        "comparison and properties": together - chain - model,
        "choosing and questions": total - together,
    }


def write_fuzz_speed_json(
    campaign: RecordedCampaign,
    speeds: Sequence[FuzzSpeed],
    seconds_by_part: dict[str, float],
    index_speed_rows: Sequence[SpeedRow],
    path: Path,
) -> None:
    """Write all measurements of the campaign and of the vault index to a JSON file."""
    total = campaign.speed.seconds
    content = {
        "schema_version": SCHEMA_VERSION,
        "yardstick": YARDSTICK,
        "ways": [
            {
                "way": speed.way,
                "steps": speed.steps,
                "steps_per_s": round(speed.rate, 1),
                "ratio": round(speed.rate / speeds[0].rate, 2),
            }
            for speed in speeds
        ],
        "shares": {part: round(seconds / total, 4) for part, seconds in seconds_by_part.items()},
        "mix": {move: round(n / campaign.speed.steps, 5) for move, n in campaign.mix.most_common()},
        "index": [row._asdict() for row in index_speed_rows],
    }
    write_json(content, path)


# ---------------------------------------------------------------------- timing


def _collect_garbage_and_read_clock() -> float:
    """Collect garbage, and return the reading of the performance clock [seconds]."""
    gc.collect()
    return time.perf_counter()


def _measure_fuzz_speed(
    way: str,
    traces: Sequence[ProtocolTrace],
    total_steps: int,
    time_trace: Callable[[ProtocolTrace, int], float],
) -> FuzzSpeed:
    """Return the speed of a method on the first steps of each trace, `total_steps` in all.

    `time_trace` runs that many steps of a trace, and returns their seconds without the opening.
    """
    each = total_steps // len(traces)
    return FuzzSpeed(way, each * len(traces), sum(time_trace(trace, each) for trace in traces))


def _split_opening_and_following_steps(
    trace: ProtocolTrace, step_count: int
) -> tuple[ProtocolTrace, ProtocolTrace]:
    """Return the opening of a trace, and the `step_count` steps after it, as two traces."""
    opening = ProtocolTrace(trace.steps[: trace.opening], trace.started_at, parameters=trace.parameters)
    rest = trace.steps[trace.opening : trace.opening + step_count]
    return opening, ProtocolTrace(rest, trace.started_at, parameters=trace.parameters)


# ------------------------------------------------------------------------ ways


def _make_lockstep_timer(
    host: str, steps_per_block: int, check_every: int = 100
) -> Callable[[ProtocolTrace, int], float]:
    def run(trace: ProtocolTrace, steps: int) -> float:
        opening, rest = _split_opening_and_following_steps(trace, steps)
        with open_host(host, trace.started_at) as chain:
            both = replay_trace_in_lockstep(opening, chain, check_every=check_every, block=steps_per_block)
            began = _collect_garbage_and_read_clock()
            for step in rest.steps:
                both.play_step(step)
            both.apply_pending_chain_steps()
            return time.perf_counter() - began

    return run


def _begin_model(opening: ProtocolTrace) -> ModelSystem:
    deployment = plan_deployment(opening.parameters)
    model = create_model(deployment, opening.started_at)
    # What a timelock executes is call data, which the contracts' ABI reads.
    chain = create_chain(deployment, RevmHost(opening.started_at))
    model.world.read_call = chain.decode_call
    apply_configuration(model, deployment)
    for timestamp, step, _ in opening.steps:
        model.advance(timestamp - model.timestamp)
        if isinstance(step, Creation):
            add_contract_model(model.world, step)
            chain.add_contract(step.name, step.kind, step.address)
        elif isinstance(step, Action):
            model.apply(step)
    return model


def _time_model(trace: ProtocolTrace, steps: int) -> float:
    opening, rest = _split_opening_and_following_steps(trace, steps)
    model = _begin_model(opening)
    began = _collect_garbage_and_read_clock()
    for timestamp, step, _ in rest.steps:
        model.advance(timestamp - model.timestamp)
        assert isinstance(step, Action)
        model.apply(step)
    return time.perf_counter() - began


def begin_chain(opening_trace: ProtocolTrace, host: Any) -> ChainSystem:
    """Deploy the protocol on a host, run the opening's steps, and return the chain."""
    deployment = plan_deployment(opening_trace.parameters)
    chain = create_chain(deployment, host)
    apply_configuration(chain, deployment)
    late = host.timestamp - opening_trace.started_at  # a node that Ape starts has its own time
    for timestamp, step, _ in opening_trace.steps:
        chain.advance(max(0, timestamp + late - chain.timestamp))
        if isinstance(step, Creation):
            deploy_at_planned_address(host, chain.artifacts, step, get_account(f"deployer_of_{step.name}"))
            chain.add_contract(step.name, step.kind, step.address)
        elif isinstance(step, Action):
            chain.apply(step)
    return chain


def _time_chain(trace: ProtocolTrace, steps: int) -> float:
    """Return the seconds to encode, execute and decode the steps as contract calls on revm."""
    opening, rest = _split_opening_and_following_steps(trace, steps)
    chain = begin_chain(opening, RevmHost(trace.started_at))
    began = _collect_garbage_and_read_clock()
    for timestamp, step, _ in rest.steps:
        chain.advance(timestamp - chain.timestamp)
        assert isinstance(step, Action)
        chain.apply(step)
    return time.perf_counter() - began


def _measure_total_raw_call_seconds(trace: ProtocolTrace, steps: int) -> float:
    """Return the seconds to execute the steps on revm, with prepared call data and raw results."""
    opening, rest = _split_opening_and_following_steps(trace, steps)
    chain = begin_chain(opening, RevmHost(trace.started_at))
    calls = [(timestamp, *encode_sender_contract_and_data(chain, step)) for timestamp, step, _ in rest.steps]
    host = chain.host
    began = _collect_garbage_and_read_clock()
    for timestamp, sender, to, data in calls:
        if timestamp != host.timestamp:
            host.set_time(timestamp)
        host.run_transaction(sender, to, data)
    return time.perf_counter() - began


def encode_sender_contract_and_data(chain: ChainSystem, action: Any) -> tuple[str, str, bytes]:
    """Return the sender, the contract's address and the call data of an action."""
    function = chain.get_function(action.contract, action.method, len(action.args))
    return action.sender, chain.addresses[action.contract], function.encode_call(action.args)


def _time_web3(trace: ProtocolTrace, steps: int) -> float:
    opening, rest = _split_opening_and_following_steps(trace, steps)
    with closing(AnvilHost(trace.started_at)) as host:
        chain = begin_chain(opening, host)
        web3 = Web3(Web3.IPCProvider(host.path))
        host.client.request("evm_setAutomine", True)
        began = _collect_garbage_and_read_clock()
        for _, step, _ in rest.steps:
            sender, to, data = encode_sender_contract_and_data(chain, step)
            sent = web3.eth.send_transaction(
                {
                    "from": Web3.to_checksum_address(sender),
                    "to": Web3.to_checksum_address(to),
                    "data": HexStr("0x" + data.hex()),
                    "gas": 5_000_000,
                    "gasPrice": Web3.to_wei(0, "wei"),
                }
            )
            web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.001)
        return time.perf_counter() - began


def _time_ape(trace: ProtocolTrace, steps: int) -> float:
    """Return the seconds of the steps as an Ape script: `contract.method(*args, sender=account)`."""
    # The other ways do without Ape, which is slow to load.
    import ape
    from ape.exceptions import ContractLogicError
    from ape.logging import LogLevel, logger

    opening, rest = _split_opening_and_following_steps(trace, steps)
    # One that Ape draws may be some connection's.
    os.environ["APE_FOUNDRY_HOST"] = f"http://127.0.0.1:{find_free_non_ephemeral_port()}"
    # Ape prints every transaction, and a call trace for every revert.
    quiet = (logger.at_level(LogLevel.ERROR), redirect_stdout(io.StringIO()))
    with quiet[0], quiet[1], ape.networks.parse_network_choice("ethereum:local:foundry") as provider:
        client = NodeClient(provider.http_uri)
        client.request("anvil_autoImpersonateAccount", True)
        client.request("anvil_setNextBlockBaseFeePerGas", "0x0")
        chain = begin_chain(opening, RpcHost(client))
        client.request("evm_setAutomine", True)
        contracts = {
            name: ape.Contract(address, abi=chain.artifacts[chain.kinds[name]].abi_json)
            for name, address in chain.addresses.items()
        }
        senders = {step.sender for _, step, _ in rest.steps if isinstance(step, Action)}
        for sender in senders:
            client.request("anvil_setBalance", sender, hex(10**24))
        accounts = {sender: ape.accounts[Web3.to_checksum_address(sender)] for sender in senders}
        began = _collect_garbage_and_read_clock()
        for _, step, _ in rest.steps:
            assert isinstance(step, Action)
            method = getattr(contracts[step.contract], step.method)
            with suppress(ContractLogicError):
                method(*step.args, sender=accounts[step.sender])
        return time.perf_counter() - began
