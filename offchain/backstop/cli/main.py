"""The command `backstop`: every command of `ape run`, grouped by the question it answers.

A command is imported when it is run: the list of all imports none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from itertools import chain

import click

from backstop.cli.old_names import build_old_command
from backstop.errors import BackstopError
from backstop.files.installation import (
    CHECKOUT,
    OLD_COMMANDS,
    __version__,
    require_checkout,
    translate_missing_extra_errors,
)

QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "What happens in a crash?": {
        "demo": "Black Thursday, its report, and a bug caught on purpose",
        "simulate": "Run one scenario, model and chain step by step the same",
        "guards": "Crashes with guards and without",
        "self-hedge": "What a pair of one owner, long against short, earns in the margin market",
        "deleverage": "Crash a perpetual market: gas, blocks and time until it is solvent, and who pays",
        "import": "Take positions and prices of your own into a scenario",
        "calibrate": "Measure a history of prices and depths: a scenario of its laws",
        "fit-owners": "Measure from events how owners of vaults react to falls",
        "samples": "Copy the files of a tutorial into a folder",
        "report": "Write the page of a run, a study or a comparison, or the index of many",
    },
    "How bad can it get?": {
        "stress": "Many paths of a scenario: bad debt at risk",
        "sweep": "A grid of settings: efficiency against bad debt",
        "ask": "Questions about a book: proposals, ceilings, owners, payers, falls",
        "assumptions": "What a study assumes, or what two assume otherwise",
        "attack": "The worst that can happen to a scenario within a budget",
    },
    "Who pays elsewhere?": {
        "compare": "One crash under several presets",
        "reproduce": "Published results beside ours",
    },
    "Does the code do what the rules say?": {
        "settings": "See whether the parameters of a deployment fit each other",
        "fuzz": "Random steps, model against chain",
        "hunt": "Search for exploits: extracted profit, broken symmetry, blocked calls",
        "faults": "Break one part at a time, and call what must still work",
        "replay": "Run a recorded trace again",
        "shrink": "Make a failing trace small, and a test of it",
        "exploits": "Put old rules back: the attacks on them succeed, and fail today",
        "mutants": "See whether the tests find faults in the contracts",
        "chaos": "See whether keepers survive what can happen to them",
        "gas": "Measure gas against dss and the committed snapshot",
        "bench": "Measure speed against Ape's and web3.py's contract calls",
        "bench-lockstep": "Compare lockstep with other tools on other people's contracts",
    },
    "Operate a deployment": {
        "devnet": "Start a chain that stays",
        "deploy": "Deploy and configure the protocol",
        "keeper": "Run keepers",
        "order": "Sign an order of the margin market",
        "govern": "Propose changes to a timelock, by name; list, execute, cancel",
        "crash": "Drive a scenario against a devnet",
        "abi": "Write the ABIs of all contracts",
        "schema": "Print the JSON Schema of a scenario, of a keeper's settings or of parameters",
    },
    "Look at a deployment": {
        "mirror": "Follow a deployment with the model",
        "index": "Index all vaults by how far they are from liquidation",
        "audit": "Audit a deployment at a block",
        "adl": "Show which accounts would be deleveraged first",
        "export": "Write a deployment as a scenario",
    },
}
"""Question -> command -> its short help, which the command itself repeats."""

BENCHMARKS = ("gas", "bench", "bench-lockstep")
"""Commands of `benchmarks`, which no wheel has."""


class Commands(click.Group):
    """All commands; each is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(chain.from_iterable(QUESTIONS.values()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in OLD_COMMANDS:
            command = self.get_command(ctx, OLD_COMMANDS[cmd_name])
            return None if command is None else build_old_command(cmd_name, command)
        if cmd_name not in self.list_commands(ctx):
            return None
        try:
            if cmd_name in BENCHMARKS:
                require_checkout(cmd_name)
            with translate_missing_extra_errors():
                found: click.Command = import_module(get_module_name(cmd_name)).cli
        except BackstopError as error:
            raise click.ClickException(str(error)) from None
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for question, commands in QUESTIONS.items():
            formatter.write(f"\n{question}\n")
            with formatter.indentation():
                formatter.write_dl(list(commands.items()))


def get_module_name(command: str) -> str:
    """Return where a command is."""
    stem = {"import": "import_book"}.get(command, command.replace("-", "_"))
    return f"{'benchmarks' if command in BENCHMARKS else 'backstop'}.cli.{stem}"


@click.group(
    cls=Commands,
    epilog="backstop COMMAND --help says more of one."
    + (" In this checkout `ape run COMMAND` is the same." if CHECKOUT else ""),
)
@click.version_option(__version__, package_name="backstop", prog_name="backstop")
def main() -> None:
    """Bad debt of collateralised-debt protocols: who loses how much, in which order, and how sure that is."""
