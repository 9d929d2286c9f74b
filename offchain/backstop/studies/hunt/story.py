"""What was found, told act by act, and replayed on the contracts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from backstop.deployment.accounts import account
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.by_name import open_host
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.proof.fuzz.opening import odd_contracts
from backstop.proof.lockstep import lockstep
from backstop.studies.hunt.history import play
from backstop.studies.hunt.script import BRANCHES, COMES
from backstop.studies.hunt.search import Found
from backstop.studies.hunt.setting import BANK, COALITION, HONEST, KEEPER
from backstop.system import Action

_NAMES = {account(role): role for role in (*COALITION, *HONEST)} | {KEEPER: "keeper", BANK: "bank"}


class Line(NamedTuple):
    """One act of the coalition: in which branch, when, and what."""

    branch: str
    tick: int
    text: str


def name_of(who: str) -> str:
    """Name an account by its role."""
    return _NAMES.get(who, who)


def tell(found: Found) -> Iterator[Line]:
    """Say what the coalition does, in each branch; what is before the event once."""
    event = found.case.script.event
    for branch, doings in enumerate(found.did):
        for doing in doings:
            if doing.tick >= event:
                yield Line("it comes" if branch == COMES else "it does not", doing.tick, _text(doing.action))
            elif branch == COMES:
                yield Line("before", doing.tick, _text(doing.action))


def _text(action: Action) -> str:
    args = ", ".join(map(_value, action.args))
    reporters = {account(f"reporter_{i}"): f"reporter_{i}" for i in range(1, 16)}
    who = reporters.get(action.sender) or name_of(action.sender)
    return f"{who}: {action.contract}.{action.method}({args})"


def _value(value: object) -> str:
    if isinstance(value, str):
        return name_of(value)
    if value == MAX_UINT256:
        return "all"
    if isinstance(value, int) and value >= WAD // 1_000:
        return f"{value / WAD:,.3f}e18"
    return repr(value)


def replay(found: Found, host: str, artifacts: Artifacts | None = None) -> int:
    """Play both branches again on the contracts, in lockstep with the model; return the steps that agree.

    Raises Divergence at the first difference.
    """
    case, steps = found.case, 0
    for branch in BRANCHES:
        system = case.setting.new()
        town = play(case.setting, system, case.script, branch, found.did[branch])
        with open_host(host) as chain:
            both = lockstep(chain, case.setting.parameters, artifacts=artifacts, check_every=100)
            for creation in odd_contracts(case.setting.deployment):
                both.add(creation)
            for step in (*case.setting.opening, *town.done):
                if isinstance(step, Action):
                    both.apply(step)
                    steps += 1
                else:
                    both.advance(step)
            both.check()
    return steps
