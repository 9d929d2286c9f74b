"""Time of the questions of a keeper's look, by stock web3.py and by the own client, of one honest node."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from web3 import Web3

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.role_accounts import get_account
from backstop.live.chaos.anvil_chain import DEPLOYMENT, start_anvil
from backstop.live.node.live_host import raw_logs
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.node.transaction_and_receipt_roots import check_roots
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.simulation.scenario import Scenario

ROUNDS = 60
TRANSACTIONS, SLOTS = 100, 200


class ClientSpeed(NamedTuple):
    """Median time of one query by web3.py and by Backstop's RPC client [seconds].

    `web3` and `own` are by the clock and include the node's time; `web3_cpu` and `own_cpu` are CPU seconds of
    the client.
    """

    question: str
    web3: float
    own: float
    web3_cpu: float
    own_cpu: float


def measure_client_speeds(scenario: Scenario) -> Iterator[ClientSpeed]:
    """Yield the times of each query by both clients, their sum, and their sum with a check.

    The clients take turns, so that both have the same load. The check is that of a block's hash by Backstop's
    client.
    """
    with tempfile.TemporaryDirectory(prefix="backstop-") as name:
        file = Path(name) / DEPLOYMENT
        node, process = start_anvil()
        try:
            deploy_live(node, scenario.parameters, file, Signers(test_accounts=True))
            system = LiveSystem(node, read_deployment(file), Signers(test_accounts=True))
            rows = list[ClientSpeed]()
            number = _mine_block_of_approvals(node, system)
            for question, web3, own in _list_questions(node, system, number):
                assert web3() == own(), question  # both have the same answer
                rows.append(ClientSpeed(question, *_measure_both(web3, own)))
                yield rows[-1]
            whole = ClientSpeed("all of them", *map(sum, zip(*(row[1:] for row in rows), strict=True)))
            yield whole
            ((block, receipts),) = node.get_blocks_with_receipts(number, number)
            clock, _, cpu, _ = _measure_both(lambda: check_roots(block, receipts), lambda: None)
            yield whole._replace(
                question="all of them, and by the own client the block's hash checked",
                own=whole.own + clock,
                own_cpu=whole.own_cpu + cpu,
            )
        finally:
            process.stop_process()


def _measure_both(web3: Callable[[], Any], own: Callable[[], Any]) -> tuple[float, float, float, float]:
    """Return the median seconds of two functions: clock of each, then CPU of each."""
    clocks, cpus = (list[float](), list[float]()), (list[float](), list[float]())
    for _ in range(ROUNDS):
        for clock, cpu, ask in zip(clocks, cpus, (web3, own), strict=True):
            began, spent = time.perf_counter(), time.process_time()
            ask()
            clock.append(time.perf_counter() - began)
            cpu.append(time.process_time() - spent)
    return median(clocks[0]), median(clocks[1]), median(cpus[0]), median(cpus[1])


def _mine_block_of_approvals(node: Node, system: LiveSystem) -> int:
    """Mine a block with TRANSACTIONS approvals of stablecoins, and return its number."""
    approve = system.chain.get_function("Stablecoin", "approve", 2)
    node.request("anvil_setBlockGasLimit", hex(30_000_000))
    node.request("evm_setAutomine", False)
    for i in range(TRANSACTIONS):
        call = {
            "from": get_account("borrower"),
            "to": system.addresses["Stablecoin"],
            "data": "0x" + approve.encode_call((get_account(f"spender_{i}"), 1 + i)).hex(),
            "gas": hex(100_000),
        }
        node.request("eth_sendTransaction", call)
    node.request("evm_mine")
    node.request("evm_setAutomine", True)
    return node.get_head().number


Question = tuple[str, Callable[[], Any], Callable[[], Any]]


def _list_questions(node: Node, system: LiveSystem, number: int) -> list[Question]:
    """Return each query: its name, and a function for web3.py and for Backstop's client.

    Both functions of a query return the same value.
    """
    w3, chain = Web3(Web3.HTTPProvider(node.url)), system.chain
    contracts: dict[str, Any] = {
        name: w3.eth.contract(
            address=Web3.to_checksum_address(system.addresses[name]),
            abi=chain.artifacts[chain.kinds[name]].abi_json,
        )
        for name in ("Stablecoin", "VaultEngine")
    }
    coin, engine = contracts["Stablecoin"], contracts["VaultEngine"]
    slots = [
        (
            system.addresses["Stablecoin"],
            chain.compute_slot("Stablecoin", "erc20.balanceOf", get_account(f"{i}")),
        )
        for i in range(SLOTS)
    ]
    accrue = chain.get_function("VaultEngine", "accrue", 1).encode_call((0,))
    sender = get_account("borrower")

    def read_block() -> Any:
        block: Any = w3.eth.get_block(number, full_transactions=True)
        return block["hash"].hex(), len(block["transactions"])

    def read_own_block() -> Any:
        block = node.request("eth_getBlockByNumber", hex(number), True)
        return block["hash"][2:], len(block["transactions"])

    def read_events() -> Any:
        receipts: Any = w3.eth.get_block_receipts(number)
        found = [each for receipt in receipts for each in coin.events.Approval().process_receipt(receipt)]
        return [tuple(each["args"].values())[2] for each in found]

    def read_own_events() -> Any:
        receipts = node.request("eth_getBlockReceipts", hex(number))
        return [chain.decode_log(log).values[2] for each in receipts for log in raw_logs(each)]

    def read_words() -> Any:
        with w3.batch_requests() as batch:
            for address, slot in slots:
                batch.add(w3.eth.get_storage_at(Web3.to_checksum_address(address), slot, number))
            return [int.from_bytes(word) for word in batch.execute()]

    def read_view() -> Any:
        return tuple(engine.functions.debts_of(0).call())

    def estimate_gas() -> Any:
        return engine.functions.accrue(0).estimate_gas({"from": Web3.to_checksum_address(sender)}) > 21_000

    call = {"from": sender, "to": system.addresses["VaultEngine"], "data": "0x" + accrue.hex()}
    return [
        (f"a block of {TRANSACTIONS} transactions", read_block, read_own_block),
        (f"receipts of {TRANSACTIONS} transactions, events decoded", read_events, read_own_events),
        (f"{SLOTS} slots", read_words, lambda: system.host.read_slots(slots)),
        ("a view, decoded", read_view, lambda: tuple(system.view("VaultEngine", "debts_of", 0))),
        ("an estimate of gas", estimate_gas, lambda: system.host.estimate_gas(call) > 21_000),
    ]
