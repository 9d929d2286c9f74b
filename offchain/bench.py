"""Speed of the same steps on the model, in lockstep on both hosts, and on the usual way to drive a chain.

The steps are those of Black Thursday on the full deployment. The alternative is web3.py on Anvil: send,
wait for the receipt, compare nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from eth_typing import HexStr
from web3 import Web3

from offchain.chain.anvil import AnvilHost
from offchain.chain.hosts import open_host
from offchain.deployment import chain_of, configure, model_of, plan
from offchain.lockstep import replay
from offchain.scenarios import load_scenario
from offchain.simulate import simulate
from offchain.system import Action
from offchain.trace import Trace

ALTERNATIVE = "web3.py on Anvil, nothing compared"
SLOW_STEPS = 500


class Speed(NamedTuple):
    """Steps a second of one way, and how many times the alternative's that is."""

    way: str
    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.steps / self.seconds


def measure() -> Iterator[Speed]:
    """One way after the other, the alternative first."""
    trace = simulate(load_scenario("black-thursday")).trace
    short = Trace(trace.parameters, trace.steps[:SLOW_STEPS], trace.started_at)
    yield _timed(ALTERNATIVE, short, _web3)
    yield _timed("lockstep on Anvil, all state each step", short, lambda t: _lockstep(t, "anvil", 1))
    yield _timed("lockstep on Anvil, all state each 100", short, lambda t: _lockstep(t, "anvil", 100))
    yield _timed("lockstep on revm, all state each step", trace, lambda t: _lockstep(t, "revm", 1))
    yield _timed("lockstep on revm, all state each 100", trace, lambda t: _lockstep(t, "revm", 100))
    yield _timed("model alone", trace, _model)


def _timed(way: str, trace: Trace, run: Callable[[Trace], float]) -> Speed:
    return Speed(way, len(trace.steps), run(trace))


def _lockstep(trace: Trace, host: str, check_every: int) -> float:
    with open_host(host, trace.started_at) as chain:
        began = time.perf_counter()
        replay(trace, chain, check_every=check_every)
        return time.perf_counter() - began


def _model(trace: Trace) -> float:
    deployment = plan(trace.parameters)
    model = model_of(deployment, trace.started_at)
    configure(model, deployment)
    began = time.perf_counter()
    for timestamp, step in trace.steps:
        model.advance(timestamp - model.timestamp)
        assert isinstance(step, Action)
        model.apply(step)
    return time.perf_counter() - began


def _web3(trace: Trace) -> float:
    deployment = plan(trace.parameters)
    with closing(AnvilHost(trace.started_at)) as host:
        chain = chain_of(deployment, host)
        configure(chain, deployment)
        web3 = Web3(Web3.IPCProvider(host.path))
        host.client.request("evm_setAutomine", True)
        began = time.perf_counter()
        for _, step in trace.steps:
            assert isinstance(step, Action)
            function = chain.function(step.contract, step.method, len(step.args))
            sent = web3.eth.send_transaction(
                {
                    "from": Web3.to_checksum_address(step.sender),
                    "to": Web3.to_checksum_address(chain.addresses[step.contract]),
                    "data": HexStr("0x" + function.encode(step.args).hex()),
                    "gas": 5_000_000,
                    "gasPrice": Web3.to_wei(0, "wei"),
                }
            )
            web3.eth.wait_for_transaction_receipt(sent, poll_latency=0.001)
        return time.perf_counter() - began
