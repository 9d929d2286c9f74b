"""Deployments to a chain that outlives the command, one transaction after the other, which can be resumed.

All creations and configuration calls come from one account in a fixed order, so its nonce tells how far an
earlier attempt came. The plan lies beside the deployment file until the last transaction is mined.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from backstop.deployment.configuration_calls import build_configuration_calls
from backstop.deployment.deployment_file import (
    check_chain,
    parameters_from_json,
    read_deployment,
    write_deployment,
)
from backstop.deployment.example_parameters import (
    build_backed_margin_parameters,
    build_guarded_parameters,
    build_margin_parameters,
    build_standard_parameters,
)
from backstop.deployment.parameter_dataclasses import Parameters, TimelockParameters
from backstop.deployment.parameter_rules import Prices
from backstop.deployment.parameter_rules.timelock_rules import LEAD, compute_longest_exit
from backstop.deployment.planned_contracts import Deployment, plan_deployment
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError
from backstop.files.atomic_files import replace_file
from backstop.files.output_directories import hash_value_repr, refuse_other
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.contract_creation import Creation, deploy_at_planned_address
from backstop.live.mirror.successor_policies import BATCH_KIND
from backstop.live.node.live_host import PATIENCE, LiveHost
from backstop.live.node.rpc_node import FEE_CAP, Node
from backstop.live.node.signers import Signers

Progress = Callable[[int, int, str], None]
# So many of a chain's newest blocks show its slot.
_SLOTS = 32


class DeploymentInterruptedError(BackstopError):
    """Error raised when a deployment is stopped before its end; the same command resumes it."""


class ParametersWithPrices(NamedTuple):
    """Protocol parameters to deploy, and reference prices by symbol [ray] (empty if the source has none)."""

    parameters: Parameters
    prices: Prices


def load_parameters_with_prices(name_or_file: str) -> ParametersWithPrices:
    """Load protocol parameters from a name or a file, with the first prices of a scenario.

    The name is an example (`standard`, `guarded`, `margin`, `margin-pool`), a scenario's name, a YAML
    scenario file, or a JSON file with the ending `.json`. Parameters of a scenario need not pass its
    consistency rules. Prices are empty unless the source is a scenario.
    """
    named = {
        "standard": build_standard_parameters,
        "guarded": build_guarded_parameters,
        "margin": build_margin_parameters,
        "margin-pool": build_backed_margin_parameters,
    }
    if name_or_file in named:
        return ParametersWithPrices(named[name_or_file](), {})
    if not name_or_file.endswith(".json"):
        from backstop.simulation.scenario import load_scenario

        scenario = load_scenario(name_or_file, fitting=False)
        return ParametersWithPrices(scenario.parameters, scenario.first_prices)
    path = Path(name_or_file)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return ParametersWithPrices(parameters_from_json(content.get("parameters", content)), {})
    except FileNotFoundError:
        raise BackstopError(f"parameter file {path} not found") from None
    except (OSError, ValueError, AttributeError) as error:
        raise BackstopError(f"{path} holds no parameters: {error}") from None


def load_parameters(name_or_file: str) -> Parameters:
    """Load protocol parameters from an example's name, a scenario (name or YAML file) or a JSON file."""
    return load_parameters_with_prices(name_or_file).parameters


def with_timelock(parameters: Parameters) -> Parameters:
    """Return the parameters with a timelock delay that exceeds a depositor's longest exit.

    Parameters that have a timelock are returned unchanged.
    """
    if parameters.timelock is not None:
        return parameters
    least = compute_longest_exit(parameters) + LEAD
    delay = max(TimelockParameters.delay, least)
    return dataclasses.replace(parameters, timelock=TimelockParameters(delay=delay))


def deploy_live(
    node: Node,
    parameters: Parameters,
    out: Path,
    signers: Signers,
    accounts: Mapping[str, str] | None = None,
    *,
    fee_cap: int = FEE_CAP,
    fresh: bool = False,
    unsafe: tuple[str, ...] = (),
    progress: Progress = lambda done, total, text: None,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda text: None,
) -> Deployment:
    """Create and configure all contracts, write the deployment file `out` and return the deployment.

    If `out` already describes this deployment on this chain, return it, unless `fresh` asks for another. An
    interrupted deployment is resumed. `accounts` are addresses by role. `unsafe` lists the safety rules that
    the parameters break, which the file records. Raise DeploymentInterruptedError once `stop` returns true.
    """
    host = LiveHost(node, signers, fee_cap=fee_cap)
    accounts = dict(accounts or {})
    if funded := host.driver.fund_empty_accounts(ACCOUNTS.values()):
        say(f"{funded} accounts of roles had no coins, and got some for gas")
    there = None if fresh else _find_existing(out, node, host, parameters, accounts)
    if there is not None:
        say(f"{out} was there already, and on this chain: --fresh deploys another")
        return there
    if not node.is_test_chain:
        _require_accounts_for_roles(parameters, accounts)
        _check_slot(node, parameters.block_time)
    part = out.with_name(out.name + ".part")
    if fresh:
        _remove_deployment_file(out)
        _remove_deployment_file(part)
    deployment, done = _plan_or_resume_deployment(node, host, parameters, accounts, part, say)
    deployment = dataclasses.replace(deployment, unsafe=unsafe)
    if not signers.can_sign(deployment.deployer):
        raise BackstopError(f"no key to sign for {deployment.deployer}; expected --account admin=ALIAS")

    artifacts = Artifacts()
    progress(0, 1, "compiling")
    actions = build_configuration_calls(deployment)
    batch = _plan_liquidation_batch(deployment, len(deployment.creations) + len(actions))
    artifacts.load(creation.kind for creation in (*deployment.creations, batch))
    chain = ChainSystem(host, artifacts, deployment.contract_kinds, deployment.addresses)
    total = _count_transactions(deployment)
    write_deployment(deployment, part)
    # One time for all of it, so that a run on it can be repeated to the wei.
    with host.driver.freeze_time():
        for step in range(done, total):
            if stop():
                raise DeploymentInterruptedError(
                    f"stopped after {step} of {total} transactions: the same command goes on"
                )
            if step < len(deployment.creations):
                creation = deployment.creations[step]
                progress(step, total, f"creating {creation.name}")
                deploy_at_planned_address(host, artifacts, creation, deployment.deployer)
                continue
            if step == total - 1:
                progress(step, total, f"creating {batch.name}")
                deploy_at_planned_address(host, artifacts, batch, deployment.deployer)
                continue
            action = actions[step - len(deployment.creations)]
            progress(step, total, f"{action.contract}.{action.method}")
            reason = chain.apply(action).reason
            if reason is not None:
                part.unlink(missing_ok=True)
                raise BackstopError(
                    f"the parameters do not fit: {action.contract}.{action.method}{action.args} "
                    f"reverted with {reason!r}"
                )
    replace_file(part, out)
    return deployment


def _count_transactions(deployment: Deployment) -> int:
    """Return how many transactions a deployment takes: contract creations, calls, and the batch contract."""
    return len(deployment.creations) + len(build_configuration_calls(deployment)) + 1


def _plan_liquidation_batch(deployment: Deployment, transactions_before: int) -> Creation:
    """Return the planned creation of the contract by which keepers liquidate many vaults at once.

    The contract is no part of the deployment file: mirrors find it by its creation code.
    """
    address = compute_contract_address(deployment.deployer, deployment.first_nonce + transactions_before)
    return Creation(BATCH_KIND, BATCH_KIND, (deployment.addresses["LiquidationEngine"],), address)


def _check_slot(node: Node, block_time: int) -> None:
    """Raise BackstopError if the parameter `block_time` is not the chain's slot time [seconds].

    The slot time is the smallest interval between the newest blocks. A `block_time` of 0 is not checked.
    """
    if block_time == 0:
        return
    last = node.get_head().number
    numbers = [(hex(number), False) for number in range(max(0, last - _SLOTS), last + 1)]
    times = [
        int(block["timestamp"], 16)
        for block in node.client.call_method_in_batches("eth_getBlockByNumber", numbers)
    ]
    slot = min((later - sooner for sooner, later in pairwise(times)), default=0)
    if slot != block_time:
        raise BackstopError(
            f"block_time is {block_time} s and this chain's slot is {slot} s: set it to the slot, "
            "or to 0 if its blocks have no slots"
        )


def _plan_or_resume_deployment(
    node: Node,
    host: LiveHost,
    parameters: Parameters,
    accounts: Mapping[str, str],
    unfinished_file: Path,
    say: Callable[[str], None],
) -> tuple[Deployment, int]:
    """Return the deployment plan, and how many of its transactions are already mined.

    The plan of an unfinished deployment is resumed if it fits the chain. Raise BackstopError if that plan has
    other parameters or accounts.
    """
    genesis = node.genesis
    if unfinished_file.exists():
        begun = read_deployment(unfinished_file)
        if begun.chain_id != node.chain_id:
            check_chain(begun, node.chain_id, genesis)
        done = _wait_for_mined_nonce(node, begun.deployer) - begun.first_nonce
        steps = _count_transactions(begun)
        there = [host.get_code_size(creation.address) > 0 for creation in begun.creations[: max(0, done)]]
        if 0 < done <= steps and all(there) and begun.genesis == genesis:
            if begun.parameters != parameters or dict(begun.accounts) != dict(accounts):
                raise BackstopError(
                    f"{unfinished_file} is half a deployment with other parameters or accounts: "
                    "finish it with those, "
                    "or give --fresh"
                )
            say(f"going on after {done} of {steps} transactions")
            return begun, done
        if done:
            say(
                f"{unfinished_file} does not fit the chain, or its deployer did other things "
                "since: starting anew"
            )
    deployer = accounts.get("admin") or get_account("admin")
    begun = plan_deployment(parameters, _wait_for_mined_nonce(node, deployer), node.chain_id, accounts)
    return dataclasses.replace(begun, genesis=genesis, block=host.get_mined_block_or_zero()), 0


def _wait_for_mined_nonce(node: Node, deployer: str) -> int:
    """Return the deployer's nonce once none of its transactions is pending.

    Contract addresses follow from this nonce. Raise BackstopError if a transaction stays pending too long.
    """
    deadline = time.monotonic() + PATIENCE
    while (mined := node.get_nonce(deployer, "latest")) != node.get_nonce(deployer):
        if time.monotonic() > deadline:
            raise BackstopError(
                f"a transaction of {deployer} was not mined within {PATIENCE:.0f} s: replace it, or wait"
            )
        time.sleep(0.05)
    return mined


def _find_existing(
    out: Path, node: Node, host: LiveHost, parameters: Parameters, accounts: Mapping[str, str]
) -> Deployment | None:
    """Return the deployment that the file `out` already describes, or None if there is none on this chain.

    The file of a devnet that was discarded since counts as none. Raise BackstopError if the file describes a
    deployment with other parameters or accounts.
    """
    if out.is_dir():
        raise BackstopError(f"{out} is a folder: name a file, --out deployment.json")
    if not out.exists():
        return None
    old = _read_deployment_to_replace(out)
    chain_id = node.chain_id
    if old.chain_id == chain_id and (
        old.genesis != node.genesis or not all(host.get_code_size(each.address) for each in old.creations)
    ):
        return None
    there = {"chain": old.chain_id, "content of the parameters": hash_value_repr(old.parameters)}
    wanted = {"chain": chain_id, "content of the parameters": hash_value_repr(parameters)}
    there["content of the accounts"] = hash_value_repr(sorted(old.accounts.items()))
    wanted["content of the accounts"] = hash_value_repr(sorted(accounts.items()))
    refuse_other(out, there, wanted)
    return old


def _read_deployment_to_replace(path: Path) -> Deployment:
    """Return the content of a deployment file; raise BackstopError for any other file.

    So no other file is overwritten or deleted.
    """
    try:
        return read_deployment(path)
    except BackstopError as error:
        raise BackstopError(f"{error}; what is not a deployment file stays: choose another --out") from None


def _remove_deployment_file(path: Path) -> None:
    if path.exists():
        _read_deployment_to_replace(path)
        path.unlink()


def _require_accounts_for_roles(parameters: Parameters, account_by_role: Mapping[str, str]) -> None:
    """Raise BackstopError if a role would use a test account, which has a public key, on a real chain."""
    reporters = max(each.feed.reporters for each in parameters.collateral_types)
    roles = ["admin", "guardian", "taker", "market_maker", *(f"reporter_{i + 1}" for i in range(reporters))]
    missing = [role for role in roles if role not in account_by_role]
    if missing:
        raise BackstopError(
            "on this chain everybody knows the keys of the test accounts: give your own for "
            f"{', '.join(missing)} (--account ROLE=ALIAS or ROLE=0xADDRESS)"
        )
