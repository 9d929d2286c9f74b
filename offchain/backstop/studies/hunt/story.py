"""What was found, told act by act, and replayed on the contracts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from backstop.deployment.role_accounts import get_account
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_registry import open_host
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.proof.fuzz.opening import odd_contracts
from backstop.proof.lockstep import lockstep
from backstop.studies.hunt.history import play
from backstop.studies.hunt.script import BRANCHES, COMES
from backstop.studies.hunt.search import Found
from backstop.studies.hunt.setting import (
    BANK,
    COALITION,
    CROWD,
    HONEST,
    KEEPER,
    PRICES,
    Outage,
    Setting,
    Step,
)
from backstop.system import Action

_NAMES = {get_account(role): role for role in (*COALITION, *HONEST, "twin", "twin_2")}
_NAMES |= {
    get_account(role): role for role in ("admin", "guardian", *(f"reporter_{i}" for i in range(1, 16)))
}
_NAMES |= {KEEPER: "keeper", BANK: "bank"}
_NAMES |= {who: f"crowd_{i + 1}" for i, who in enumerate(CROWD)}


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
                yield Line(
                    "it comes" if branch == COMES else "it does not", doing.tick, act_text(doing.action)
                )
            elif branch == COMES:
                yield Line("before", doing.tick, act_text(doing.action))


def act_text(action: Action) -> str:
    """Say who calls what."""
    args = ", ".join(map(_value, action.args))
    if (action.contract, action.method) == ("PriceFeed", "report"):
        args = f"{action.args[0]}, at {action.args[1] / RAY:,.6g}"
    return f"{name_of(action.sender)}: {action.contract}.{action.method}({args})"


def _value(value: object) -> str:
    if isinstance(value, str):
        return name_of(value)
    if value == MAX_UINT256:
        return "all"
    if isinstance(value, int) and value >= WAD // 1_000:
        return f"{value / WAD:,.3f}e18"
    return "a role" if isinstance(value, bytes) and len(value) == 32 else repr(value)


def moves(rows: Sequence[Sequence[int]]) -> str:
    """Say when prices move, and where to, in percent of the first."""
    found = []
    for c in range(len(rows[0])):
        steps = [tick for tick in range(1, len(rows)) if rows[tick][c] != rows[tick - 1][c]]
        moves = [f"{rows[tick][c] * 100 / rows[0][c]:g}% at tick {tick}" for tick in steps]
        market = "equity" if c == len(PRICES) else f"type {c}"
        found.append(f"of {market}: {', '.join(moves) or 'stay'}")
    return "; ".join(found)


def replay(found: Found, host: str, artifacts: Artifacts | None = None) -> int:
    """Play both branches again on the contracts, in lockstep with the model; return the steps that agree.

    Raises Divergence at the first difference.
    """
    case, steps = found.case, 0
    for branch in BRANCHES:
        system = case.setting.new()
        town = play(case.setting, system, case.script, branch, found.did[branch])
        steps += replay_steps(case.setting, town.done, host, artifacts)
    return steps


def replay_steps(
    setting: Setting, done: Sequence[Step], host: str, artifacts: Artifacts | None = None
) -> int:
    """Play what was done again on the contracts, in lockstep; return the steps that agree."""
    steps = 0
    with open_host(host) as chain:
        both = lockstep(chain, setting.parameters, artifacts=artifacts, check_every=100)
        for creation in odd_contracts(setting.deployment):
            both.add(creation)
        for step in (*setting.opening, *done):
            if isinstance(step, Action):
                both.apply(step)
                steps += 1
            elif isinstance(step, Outage):
                both.advance(step.seconds, 0)
            else:
                both.advance(step)
        both.compare_state()
    return steps
