"""A hunt for what a few accounts can take from all others."""

from __future__ import annotations

import json
from pathlib import Path

import click

from backstop.cli.common import (
    RUNS,
    Command,
    command_line,
    contracts_option,
    handle_errors,
    json_option,
    open_output,
    output_options,
    progress_bar,
    seed_option,
    stoppable,
)
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.by_name import HOSTS
from backstop.model.arithmetic import WAD
from backstop.studies.hunt.campaign import Campaign
from backstop.studies.hunt.search import FIRST, LATER, LEAST, Found
from backstop.studies.hunt.story import name_of, replay, tell

INTERRUPTED = 130

RUN_BY = ("backstop.studies.hunt.campaign",)
"""What a folder goes on with as long as it is unchanged."""


@click.command(cls=Command, short_help="What a coalition can take from everybody else")
@click.option("--cases", type=click.IntRange(1, 10**6), default=20, show_default=True, help="Cases in all.")
@click.option(
    "--plans",
    type=click.IntRange(1),
    default=FIRST + LATER,
    show_default=True,
    help="Plans tried in each, the first quarter at random.",
)
@click.option("--best", type=click.IntRange(0), default=5, show_default=True, help="Stories to tell.")
@seed_option
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option(
    "--host",
    type=click.Choice(HOSTS),
    default="revm",
    show_default=True,
    help="Where each story is replayed, contracts against model.",
)
@output_options("Folder of the hunt.", "runs/hunt-<seed>")
@contracts_option
@json_option
@handle_errors
def cli(
    cases: int,
    plans: int,
    best: int,
    seed: int,
    workers: int,
    host: str,
    out: Path | None,
    fresh: bool,
    contracts: Path,
    as_json: bool,
) -> None:
    """Search for plans by which three accounts gain what others lose, and tell the best of them.

    Each case draws a deployment, a course of prices and what honest people want. A plan is measured against
    histories in which the coalition does the same with what is its own, and leaves the rest to honest
    keepers, prompt or slow. Interrupt it at any time: the same command goes on, with more --cases further.

    Exit codes: 0 if nothing is taken, 1 with a story, 130 if it was interrupted before it found any.

    \b
      ape run hunt --cases 200 --workers 2
      ape run hunt --cases 20 --seed 7 --host anvil
    """
    out = out or RUNS / f"hunt-{seed}"
    output = open_output(
        out,
        "hunt",
        {"seed": seed, "plans": plans},
        {"cases": cases},
        contracts=contracts,
        fresh=fresh,
        runs=RUN_BY,
    )
    campaign = Campaign(out, seed)
    with stoppable() as stopped, progress_bar() as bar:
        first = max(1, plans // 4)
        campaign.run(
            cases,
            workers,
            stopped,
            lambda n: bar(n, cases, f"{n} of {cases} cases"),
            (first, plans - first),
        )
        done = len(campaign.found) >= cases
        found = sorted(
            (each for each in campaign.found.values() if each.taken.amount >= LEAST),
            key=lambda each: (-each.taken.amount, each.case.seed),
        )
        artifacts = Artifacts(contracts)
        steps = {each.case.seed: replay(each, host, artifacts) for each in found[:best] if not stopped()}
    if as_json:
        click.echo(json.dumps([_to_json(each) for each in found], indent=2))
    else:
        for each in found[:best]:
            _tell(each, steps.get(each.case.seed), host)
        click.echo(f"cases={len(campaign.found)} stories={len(found)}")
    if done:
        output.finish()
    else:
        again = command_line("hunt", cases=cases, plans=plans, seed=seed, out=out)
        click.echo(f"go on with: {again}", err=True)
    raise SystemExit(1 if found else 0 if done else INTERRUPTED)


def _tell(found: Found, steps: int | None, host: str) -> None:
    taken = found.taken
    losers = ", ".join(f"{name_of(who)} {amount // WAD:,}" for who, amount in _losers(found))
    click.echo(f"case {found.case.seed}: the coalition gains {taken.gain // WAD:,}; who loses: {losers}")
    for line in tell(found):
        click.echo(f"  {line.branch:11} tick {line.tick:2}  {line.text}")
    if steps is not None:
        click.echo(f"  replayed on {host}: {steps:,} steps, no difference between model and contracts")
    click.echo()


def _losers(found: Found) -> list[tuple[str, int]]:
    return sorted(found.taken.losses.items(), key=lambda each: -each[1])


def _to_json(found: Found) -> dict[str, object]:
    return {
        "case": found.case.seed,
        "gain": found.taken.gain // WAD,
        "losses": {name_of(who): amount // WAD for who, amount in _losers(found)},
        "story": [line._asdict() for line in tell(found)],
    }
