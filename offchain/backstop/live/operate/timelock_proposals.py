"""Proposals of a timelock's governor: parsed by name, tried and sent; and open proposals from the chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from backstop.deployment.model_and_chain_deployment import attach_system
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_interface import RawLog
from backstop.hosts.rpc_client import RpcError
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import FEE_CAP, Node
from backstop.live.node.signers import Signers
from backstop.live.operate.named_calls import NamedCalls
from backstop.model.timelock import Call, Proposal, hash_proposal
from backstop.system import Action

TIMELOCK = "Timelock"
_BLOCKS_AT_ONCE = 10_000


class OpenProposal(NamedTuple):
    """Proposal that may still be executed; `calls` is None if no node returns its calls."""

    id: bytes
    proposal: Proposal
    calls: tuple[Call, ...] | None
    salt: bytes


class TimelockGovernance:
    """Access to a deployment's timelock on a node: list, preview, propose, execute and cancel proposals."""

    def __init__(self, node: Node, deployment: Deployment, signers: Signers, fee_cap: int = FEE_CAP) -> None:
        node.require_deployment(deployment)
        if TIMELOCK not in deployment.addresses:
            raise BackstopError(
                f"this deployment has no timelock: {deployment.get_account('admin')} is its admin, at once"
            )
        artifacts = Artifacts()
        self.node = node
        self.deployment = deployment
        self.signers = signers
        self.host = LiveHost(node, signers, fee_cap=fee_cap)
        self.chain = attach_system(deployment, self.host, artifacts)
        self.calls = NamedCalls(deployment, artifacts)
        self.now = node.next_time()

    def call_view(self, method: str, *args: Any) -> Any:
        """Call a view function of the timelock contract and return its value."""
        return self.chain.view(TIMELOCK, method, *args)

    # -------------------------------------------------------------------- looking

    def iter_report_lines(self) -> Iterator[str]:
        """Yield report lines on the timelock's roles and delays, and on its open proposals."""
        longest, window = self.call_view("LONGEST"), self.call_view("WINDOW")
        yield f"{TIMELOCK} {self.deployment.addresses[TIMELOCK]}, admin of the deployment's contracts"
        yield f"governor  {self.call_view('governor')}  proposes, cancels"
        yield f"guardian  {self.call_view('guardian')}  cancels, forbids new risk (lower_ceiling, halt_draws)"
        yield f"anybody   executes what is ready, within {_format_span(window)}"
        shorter = ", ".join(
            f"{name} {_format_span(delay)}" for name, delay in self._list_functions_with_shorter_delay()
        )
        yield f"announced for {_format_span(longest)}" + (f"; {shorter}" if shorter else "")
        found = self.list_open_proposals()
        yield f"{len(found)} proposals are open"
        for each in found:
            yield f"  0x{each.id.hex()}"
            yield f"    {self.describe_window(each.proposal.ready_at, each.proposal.expires_at)}"
            yield from (f"    {line}" for line in self.describe_calls(each.calls))

    def list_open_proposals(self) -> list[OpenProposal]:
        """Return the proposals that may still be executed, now or later, the soonest ready first."""
        ids = self.call_view("open_proposals")
        told = self._read_proposed_calls_by_id() if ids else {}
        found = []
        for proposal_id in ids:
            calls, salt = told.get(proposal_id, (None, b""))
            found.append(
                OpenProposal(proposal_id, Proposal(*self.call_view("proposal_of", proposal_id)), calls, salt)
            )
        return sorted(found, key=lambda each: (each.proposal.ready_at, each.id))

    def find_proposal(self, text: str) -> OpenProposal:
        """Return the open proposal that has an id with this hex prefix.

        Raise BackstopError unless exactly one open proposal has.
        """
        start = text.lower().removeprefix("0x")
        found = [each for each in self.list_open_proposals() if each.id.hex().startswith(start)]
        if not start or len(found) != 1:
            how = "no open proposal" if not found else f"{len(found)} open proposals"
            raise BackstopError(f"{how} begins with {text!r}: `govern` lists what is open")
        return found[0]

    def describe_calls(self, calls: Sequence[Call] | None) -> list[str]:
        """Return a line for each call, with its name, its arguments and its delay.

        Return one line that the calls are unknown if `calls` is None.
        """
        if calls is None:
            return ["its calls are in no event that this node tells: ask another"]
        found = []
        for call in calls:
            delay = self.call_view("delay_of", call[0], call[1][:4])
            shorter = "longest" if delay == self.call_view("LONGEST") else "shorter"
            found.append(f"{self.calls.describe_call(call)}  waits {_format_span(delay)} ({shorter})")
        return found

    def describe_window(self, ready_at: int, expires_at: int) -> str:
        """Return a text of the period in which a proposal can be executed, in UTC and from now."""
        from datetime import UTC, datetime

        first, last = (
            f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC" for at in (ready_at, expires_at)
        )
        if self.now < ready_at:
            return f"from {first} (in {_format_span(ready_at - self.now)}) until {last}"
        return f"ready, until {last} (for {_format_span(max(0, expires_at - self.now))})"

    # --------------------------------------------------------------------- acting

    def build_proposal_and_preview_lines(self, calls: Sequence[Call], salt: int) -> tuple[Action, list[str]]:
        """Return the call that submits a proposal of these calls, and lines that preview its effect.

        The lines hold the proposal's id, its calls and window, and each call that would revert now.
        """
        packed = salt.to_bytes(32, "big")
        delay = max(self.call_view("delay_of", target, data[:4]) for target, data in calls)
        ready_at = self.now + delay
        lines = [
            f"proposal 0x{hash_proposal(calls, packed).hex()}",
            *(f"  {line}" for line in self.describe_calls(calls)),
            f"  {self.describe_window(ready_at, ready_at + self.call_view('WINDOW'))}",
            *(f"  as things are, {line}" for line in self._iter_reverting_calls(calls)),
        ]
        return Action(TIMELOCK, "propose", (tuple(calls), packed), self.call_view("governor")), lines

    def build_execution(self, found: OpenProposal, sender: str | None) -> Action:
        """Return the call that executes a proposal; without `sender` the governor sends it.

        Raise BackstopError if the proposal's calls are unknown.
        """
        if found.calls is None:
            raise BackstopError(f"0x{found.id.hex()}: {self.describe_calls(None)[0]}")
        return Action(TIMELOCK, "execute", (found.calls, found.salt), sender or self.call_view("governor"))

    def build_cancellation(self, found: OpenProposal) -> Action:
        """Return the call that cancels a proposal, sent by the governor.

        The guardian sends it if this process can sign for the guardian but not for the governor.
        """
        governor, guardian = self.call_view("governor"), self.call_view("guardian")
        sender = (
            guardian if self.signers.can_sign(guardian) and not self.signers.can_sign(governor) else governor
        )
        return Action(TIMELOCK, "cancel", (found.id,), sender)

    def describe_action_and_dry_run(self, action: Action) -> list[str]:
        """Return lines with a call's sender, target and data, and whether the call would succeed now."""
        function = self.chain.get_function(action.contract, action.method, len(action.args))
        to, data = self.deployment.addresses[action.contract], function.encode_call(action.args)
        outcome = self.chain.decode_outcome_or_revert(
            function, self.host.static_call(action.sender, to, data)
        )
        verdict = "would succeed now" if outcome.ok else f"would revert now: {outcome.reason}"
        return [
            f"from {action.sender}",
            f"to   {to}  ({action.contract}.{action.method})",
            f"data 0x{data.hex()}",
            verdict,
        ]

    def send_action_and_wait_until_mined(self, action: Action) -> str:
        """Send a call, wait until it is mined, and return a line with its block and gas.

        Raise BackstopError if there is no key for the sender, or if the call would revert.
        """
        if not self.signers.can_sign(action.sender):
            role = "executor" if action.method == "execute" else "governor"
            raise BackstopError(f"no key to sign for {action.sender}; expected --account {role}=ALIAS")
        outcome = self.chain.apply(action)
        if not outcome.ok:
            raise BackstopError(
                f"{action.contract}.{action.method} would revert: {outcome.reason or 'no reason'}"
            )
        return f"done in block {self.host.get_mined_block_or_zero()}, {self.chain.gas} gas"

    # -------------------------------------------------------------------- helpers

    def _iter_reverting_calls(self, calls: Sequence[Call]) -> Iterator[str]:
        """Yield a line for each call that would revert if the timelock made it alone now."""
        for target, data in calls:
            name = self.chain.names.get(target, target)
            result = self.host.static_call(self.deployment.addresses[TIMELOCK], target, data)
            if not result.ok:
                function = self.chain.artifacts[self.chain.kinds[name]].contract_abi.by_selector[data[:4]]
                reason = self.chain.decode_outcome_or_revert(function, result).reason
                yield f"{name}.{function.name} would revert: {reason or 'no reason'}"

    def _list_functions_with_shorter_delay(self) -> list[tuple[str, int]]:
        """Return the names and delays [seconds] of functions with less than the timelock's longest delay."""
        found: dict[tuple[str, bytes], None] = {}
        for _, (target, selector, _) in self._iter_events("DelaySet"):
            found[target, selector] = None
        longest = self.call_view("LONGEST")
        rows = []
        for target, selector in found:
            delay = self.call_view("delay_of", target, selector)
            if delay != longest:
                rows.append((self.calls.get_function_name(target, selector), delay))
        return rows

    def _read_proposed_calls_by_id(self) -> dict[bytes, tuple[tuple[Call, ...], bytes]]:
        """Return calls and salt of all proposals by id, read from events.

        An event is ignored if its calls and salt do not hash to its id.
        """
        found = {}
        for _, (proposal_id, calls, salt, _, _) in self._iter_events("Proposed"):
            if hash_proposal(calls, salt) == proposal_id:
                found[proposal_id] = tuple((target, data) for target, data in calls), salt
        return found

    def _iter_events(self, name: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield the name and values of each event `name` that the timelock emitted since the deployment.

        Blocks are read in ranges, which are halved when a node refuses one.
        """
        abi = self.chain.artifacts[TIMELOCK].contract_abi
        topic = next(topic for topic, event in abi.events.items() if event.name == name)
        first, last = self.deployment.block + 1, self.host.get_mined_block_or_zero()
        wanted = {"address": self.deployment.addresses[TIMELOCK], "topics": ["0x" + topic.hex()]}
        span = _BLOCKS_AT_ONCE
        while first <= last:
            end = min(last, first + span - 1)
            try:
                logs = self.node.request(
                    "eth_getLogs", wanted | {"fromBlock": hex(first), "toBlock": hex(end)}
                )
            except RpcError:
                if end == first:
                    raise
                span = (end - first + 1) // 2
                continue
            for log in logs:
                topics = tuple(bytes.fromhex(each[2:]) for each in log["topics"])
                decoded = self.chain.decode_log(
                    RawLog(log["address"].lower(), topics, bytes.fromhex(log["data"][2:]))
                )
                yield decoded.event, decoded.values
            first = end + 1


def _format_span(seconds: int) -> str:
    """Return a duration as text in days and hours, or in hours and minutes."""
    minutes = seconds // 60
    days, hours = minutes // 1_440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
