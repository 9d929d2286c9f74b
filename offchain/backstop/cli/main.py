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
        "demo": "Run Black Thursday, write its report, and catch a planted bug",
        "simulate": "Run one scenario on model and chain in lockstep",
        "guards": "Run crashes with and without each guard",
        "self-hedge": "Measure the profit of self-hedged pairs in the margin market",
        "deleverage": "Crash a perpetual market; measure its way back to solvency and the payers",
        "import": "Import positions and prices of your own as a scenario",
        "calibrate": "Calibrate price laws and depths from a history, as a scenario",
        "fit-owners": "Fit from events how vault owners react to price drops",
        "samples": "Copy the files of a tutorial into a folder",
        "report": "Write the page of a result, or the index of several",
    },
    "How bad can it get?": {
        "stress": "Estimate bad debt at risk over many paths of a scenario",
        "sweep": "Compare settings of a grid: capital efficiency against bad debt",
        "ask": "Answer a question about a scenario: proposals, ceilings, payers, price drops",
        "assumptions": "Print the assumptions of a study, or the differences of two",
        "attack": "Search for the worst case of a scenario within a budget",
    },
    "How do other systems compare?": {
        "compare": "Compare presets of known systems on one scenario",
        "reproduce": "Reproduce published results and compare the figures",
    },
    "Does the code do what the rules say?": {
        "settings": "Check whether the parameters of a deployment fit each other",
        "fuzz": "Fuzz the contracts against the model with random steps",
        "hunt": "Search for exploits: extracted profit, broken symmetry, blocked calls",
        "faults": "Break one component at a time, and check the calls that must still work",
        "replay": "Replay a recorded trace on model and chain",
        "shrink": "Shrink a failing trace, and write a test of it",
        "exploits": "Check that each exploit works only with its fix reverted",
        "mutants": "Measure whether the tests detect faults in the contracts",
        "chaos": "Test keepers and mirror under kills, reorganisations and lying nodes",
        "gas": "Measure gas, compared with dss and the committed snapshot",
        "bench": "Measure speed, compared with calls by Ape and web3.py",
        "bench-lockstep": "Compare lockstep with other testing tools on published contracts",
    },
    "Operate a deployment": {
        "devnet": "Run a local Anvil or Hardhat node for the other commands",
        "deploy": "Deploy and configure the protocol",
        "keeper": "Run keepers on a deployment",
        "order": "Sign an order of the margin market",
        "govern": "Propose changes to a timelock; list, execute or cancel them",
        "crash": "Drive a scenario on a devnet",
        "abi": "Write the ABIs of all contracts",
        "schema": "Print the JSON Schema of scenarios, keeper settings or parameters",
    },
    "Look at a deployment": {
        "mirror": "Follow a deployment with the model, and compare all storage",
        "index": "Index all vaults by their distance from liquidation",
        "audit": "Audit debts and assets of a deployment at a block, with proofs",
        "adl": "Show the order of auto-deleveraging of accounts",
        "export": "Export a deployment as a scenario",
    },
}
"""Question -> command -> its short help, which the command itself repeats."""

BENCHMARKS = ("gas", "bench", "bench-lockstep")
"""Commands of `benchmarks`, which no wheel has."""


class Commands(click.Group):
    """Click group of all commands; each command's module is imported on first use."""

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
    """Return the name of the Python module that defines a command."""
    stem = {"import": "import_book"}.get(command, command.replace("-", "_"))
    return f"{'benchmarks' if command in BENCHMARKS else 'backstop'}.cli.{stem}"


@click.group(
    cls=Commands,
    epilog="`backstop COMMAND --help` describes options, files and exit codes, with examples."
    + (" In this checkout `ape run COMMAND` does the same." if CHECKOUT else ""),
)
@click.version_option(__version__, package_name="backstop", prog_name="backstop")
def main() -> None:
    """Measure and manage bad debt of collateralised-debt protocols: size, order of payers, uncertainty."""
