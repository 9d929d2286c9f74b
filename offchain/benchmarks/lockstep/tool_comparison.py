"""Speed of each tool on a whole vault, and the processor time that it takes to find each of ten mutants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from backstop.files.atomic_files import write_json
from benchmarks.lockstep.foreign_vaults import ForeignVault
from benchmarks.lockstep.tool_runs import (
    PROJECTS,
    TIMEOUT,
    ToolSpeed,
    count_code_lines,
    prepare_node_packages,
    prepare_titanoboa,
)
from benchmarks.lockstep.vault_mutant_draw import COUNT, DrawnMutant, draw_mutants

SCHEMA_VERSION = 1
SECONDS = 20.0
"""CPU seconds for which each tool tests a whole vault, once it runs; roughly."""
RUN_SEED = 1
"""The seed of every run of every tool; that of the draw is another."""


class ToolResult(NamedTuple):
    """Result of one tool on one vault: its speed, and the CPU seconds to find each mutant.

    `lines` counts the code that a user of the tool writes. A mutant that was not found has None.
    """

    tool: str
    speed: ToolSpeed
    lines: int
    seconds: dict[str, float | None]

    @property
    def found(self) -> list[float]:
        """CPU seconds that the tool took for each mutant it found."""
        return [each for each in self.seconds.values() if each is not None]


class VaultComparison(NamedTuple):
    """Results of all tools on one vault and its drawn mutants."""

    vault: ForeignVault
    mutants: list[DrawnMutant]
    results: list[ToolResult]


def compare_tools(
    vault: ForeignVault,
    draw_seed: str,
    folder: Path,
    tools: Collection[str] = tuple(PROJECTS),
    count: int = COUNT,
    seconds: float = SECONDS,
    timeout: float = TIMEOUT,
    say: Callable[[str], None] = lambda text: None,
) -> VaultComparison:
    """Test a vault, unchanged and with each of its drawn mutants, by every tool, and compare them.

    `seconds` is the CPU time to measure a speed, and `timeout` to search one mutant [CPU seconds]. `say`
    receives progress messages.
    """
    prepare_node_packages()
    say(f"{vault.title}: {count} mutants are drawn and compiled")
    drawn = draw_mutants(vault, draw_seed, folder / "builds", count)
    whole = vault.compile_vault(folder / "whole")
    results = []
    for tool in tools:
        if tool == "titanoboa":
            prepare_titanoboa()
        project = PROJECTS[tool](vault.name, folder / tool)
        project.put_contracts(whole, folder / "whole")
        speed = project.measure_speed(RUN_SEED, seconds)
        say(f"{tool}: {speed.rate:,.0f} steps a CPU second")
        took: dict[str, float | None] = {}
        for each in drawn:
            project.put_contracts(each.build, each.folder)
            run = project.find_failure(RUN_SEED, timeout)
            took[each.mutant.id] = run.seconds if run.found else None
            say(f"{tool}: {each.mutant.id} {f'{run.seconds:.1f} s' if run.found else 'not found'}")
        results.append(ToolResult(tool, speed, count_code_lines(project.list_user_files()), took))
    return VaultComparison(vault, drawn, results)


def build_tool_rows(comparison: VaultComparison) -> Iterator[tuple[str, ...]]:
    """Yield a table row for each tool: speed, ratio to the first, finds, median time and lines.

    The speed is in steps a CPU second, and the median time in CPU seconds.
    """
    first = comparison.results[0].speed.rate
    for each in comparison.results:
        yield (
            each.tool,
            f"{each.speed.rate:,.0f}",
            f"{each.speed.rate / first:.3g}",
            f"{len(each.found)} of {len(each.seconds)}",
            f"{median(each.found):.1f}" if each.found else "–",
            str(each.lines),
        )


def build_mutant_rows(comparison: VaultComparison) -> Iterator[tuple[str, ...]]:
    """Yield a table row for each mutant: its description, and the CPU seconds of each tool."""
    for mutant, _, _ in comparison.mutants:
        took = [each.seconds[mutant.id] for each in comparison.results]
        place = f"`{mutant.function}`, {mutant.operator}, line {mutant.line}"
        yield (mutant.id, place, *("–" if each is None else f"{each:.1f}" for each in took))


def write_comparisons_json(comparisons: Sequence[VaultComparison], draw_seed: str, path: Path) -> None:
    """Write the mutants and all measurements of the comparisons to a JSON file."""
    content = {
        vault.name: _build_json(comparison) for comparison in comparisons for vault in (comparison.vault,)
    }
    write_json({"schema_version": SCHEMA_VERSION, "seed": draw_seed, "vaults": content}, path)


def _build_json(comparison: VaultComparison) -> Mapping[str, Any]:
    return {
        "mutants": [
            {
                "id": each.mutant.id,
                "file": each.mutant.file,
                "function": each.mutant.function,
                "operator": each.mutant.operator,
                "line": each.mutant.line,
                "before": each.mutant.before,
                "after": each.mutant.after,
            }
            for each in comparison.mutants
        ],
        "tools": [
            {
                "tool": each.tool,
                "steps": each.speed.steps,
                "cpu_seconds": round(each.speed.seconds, 3),
                "lines": each.lines,
                "cpu_seconds_by_mutant": {
                    name: None if took is None else round(took, 2) for name, took in each.seconds.items()
                },
            }
            for each in comparison.results
        ],
    }
