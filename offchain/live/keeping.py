"""Runs keepers on a chain that stays: look, decide, try, send, wait; the next look comes with the next block.

One process owns its accounts' nonces. A node that is gone for a while is waited for; failures that do not
end stop the keepers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from offchain.chain.rpc import NodeGone, RpcError
from offchain.deployment import Deployment
from offchain.errors import BackstopError
from offchain.keepers import Intent, Keeper, Memory, approvals
from offchain.live.mirror import Reorganised
from offchain.live.node import FeesTooHigh
from offchain.live.system import LiveSystem, market_view
from offchain.model.arithmetic import WAD
from offchain.scenarios.schema import GasPolicy, KeeperGroup

ROLES: dict[str, tuple[str, ...]] = {
    "reporter": ("reporter",),
    "poker": ("poker",),
    "accruer": ("accruer",),
    "liquidator": ("liquidator",),
    "taker": ("flash_taker",),
    "bidder": ("bidder",),
    "crank": ("crank", "coverer"),
    "recogniser": ("recogniser",),
    "recap_bidder": ("recap_bidder",),
    "surplus_bidder": ("surplus_bidder",),
    "treasurer": ("treasurer",),
    "ceilings": ("ceilings",),
    "breaker": ("breaker",),
    "caller": ("caller",),
    "settler": ("settler",),
}
"""What `--roles` takes. `crank` is whatever brings auctions to their end and has losses paid."""

MOST_FAILURES = 20
"""Transactions in a row that were mined and failed: something is wrong then."""

_LONGEST_PAUSE = 10.0


def keepers_of(deployment: Deployment, roles: list[str], minimum_profit: int = WAD) -> list[Keeper]:
    """The keepers of some roles, by the deployment's accounts."""
    found: list[Keeper] = []
    for role in dict.fromkeys(ROLES if "all" in roles else roles):
        if role not in ROLES:
            raise BackstopError(f"there is no role {role!r}; there are {', '.join(ROLES)}, all")
        for each in ROLES[role]:
            name = "taker" if each == "flash_taker" else each
            count = 1
            if each == "reporter":
                count = max(t.feed.reporters for t in deployment.parameters.collateral_types)
            group = KeeperGroup(name, each, count, GasPolicy(), minimum_profit=minimum_profit)
            found += [
                Keeper(name, deployment.account(name), group, i) for i, name in enumerate(group.names())
            ]
    return found


@dataclass(frozen=True)
class _Sent:
    keeper: Keeper
    intent: Intent
    transaction: str


class Runner:
    """Some keepers on one deployment. `say` gets one line for each thing that happens."""

    def __init__(
        self,
        system: LiveSystem,
        keepers: list[Keeper],
        say: Callable[[str], None],
        gas_token: str | None = None,
    ) -> None:
        self.system = system
        self.keepers = keepers
        self.say = say
        self.gas_token = gas_token
        self.memories = {keeper.name: Memory() for keeper in keepers}
        self.sent = self.failed = 0
        self._failures_in_a_row = 0
        self._looked_at: tuple[str, int] | None = None
        self._reported = 0
        self._strangers = 0
        for keeper in keepers:
            if not system.host.signers.has(keeper.address):
                raise BackstopError(
                    f"nobody here can sign for {keeper.address}: --account {keeper.name}=ALIAS"
                )

    def run(
        self,
        *,
        interval: float,
        patience: float,
        once: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Until told to stop, or once; waits up to `patience` seconds for a node that is gone."""
        gone_since: float | None = None
        pause = interval
        while not stop():
            try:
                self.round()
                if gone_since is not None:
                    self.say("the node is back")
                gone_since, pause = None, interval
            except NodeGone as error:
                if gone_since is None:
                    gone_since = time.monotonic()
                    self.say(f"{error}; waiting up to {patience:.0f} s")
                if once or time.monotonic() - gone_since > patience:
                    raise BackstopError(f"stopped: {error}") from None
                pause = min(max(2 * pause, 0.2), _LONGEST_PAUSE)
            except FeesTooHigh as error:
                if pause != _LONGEST_PAUSE:
                    self.say(str(error))
                pause = _LONGEST_PAUSE
            except Reorganised as error:
                self.say(f"{error}: {self.system.restart()}")
                continue
            if once:
                return
            _sleep(pause, stop)

    def round(self) -> int:
        """One look at the chain, and what follows from it; how many transactions were mined."""
        system = self.system
        system.follow()
        system.take_seen()
        self._tell_differences()
        now = system.timestamp
        if self._looked_at == (system.mirror.hash, now):
            return 0
        self._looked_at = (system.mirror.hash, now)
        gas_price = system.node.fees(system.host.fee_cap).expected
        view = market_view(system, now, gas_price, self.gas_token)
        sent: list[_Sent] = []
        for keeper in self.keepers:
            wanted = keeper.decide(view, self.memories[keeper.name], gas_price)
            for intent in (*approvals(keeper, view), *wanted):
                self._try(keeper, intent, now, sent)
        for each in sent:
            self._settle(each)
        return len(sent)

    def _try(self, keeper: Keeper, intent: Intent, now: int, sent: list[_Sent]) -> None:
        """Send what would succeed in the next block."""
        foreseen = self.system.foresee(intent.action)
        if not foreseen.ok:
            self.memories[keeper.name].note(intent.about, False, now)
            self.say(f"{keeper.name}: {describe(intent)} would revert: {foreseen.reason or 'no reason'}")
            return
        try:
            sent.append(_Sent(keeper, intent, self.system.send(intent.action)))
        except RpcError as error:
            self.memories[keeper.name].note(intent.about, False, now)
            self._count(False)
            self.say(f"{keeper.name}: {describe(intent)} was not taken: {error.reason}")

    def _settle(self, sent: _Sent) -> None:
        receipt = self.system.host.wait(sent.transaction)
        ok = receipt["status"] == "0x1"
        self.memories[sent.keeper.name].note(sent.intent.about, ok, self.system.timestamp)
        self.sent += 1
        self.failed += not ok
        block, gas = int(receipt["blockNumber"], 16), int(receipt["gasUsed"], 16)
        result = "done" if ok else "FAILED"
        self.say(f"{sent.keeper.name}: {describe(sent.intent)} {result} in block {block}, {gas} gas")
        self._count(ok)

    def _count(self, ok: bool) -> None:
        self._failures_in_a_row = 0 if ok else self._failures_in_a_row + 1
        if self._failures_in_a_row >= MOST_FAILURES:
            raise BackstopError(
                f"stopped: {MOST_FAILURES} transactions in a row failed: does somebody else use the accounts?"
            )

    def _tell_differences(self) -> None:
        mirror = self.system.mirror
        for difference in mirror.differences[self._reported :]:
            self.say(f"model and chain differ, the chain counts: {difference}")
        self._reported = len(mirror.differences)
        for transaction in mirror.strangers[self._strangers :]:
            self.say(f"{transaction} came through an unknown contract: what it opened may be missed")
        self._strangers = len(mirror.strangers)


def describe(intent: Intent) -> str:
    """A call in a few words."""
    action = intent.action
    about = [str(part)[:10] for part in _flat(intent.about[1:])]
    return f"{action.contract}.{action.method}({', '.join(about)})"


def _flat(parts: object) -> list[object]:
    return [each for part in parts for each in _flat(part)] if isinstance(parts, tuple) else [parts]


def _sleep(seconds: float, stop: Callable[[], bool]) -> None:
    """Short naps, so that a signal is heard."""
    deadline = time.monotonic() + seconds
    while not stop() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
