"""Refusal of isolated prints in a price file that a scenario names, as `import` refuses them in its own."""

from __future__ import annotations

from collections.abc import Sequence

from backstop.model.arithmetic import RAY
from backstop.simulation.scenario.isolated_prints import describe_isolated_print, list_isolated_prints
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.yaml_document_reader import Section

PRINTS = ("refuse", "keep")
"""Treatments of isolated prints that a section may choose; without one they are refused."""


def refuse_isolated_prints(section: Section, row_numbers: Sequence[int], prices: Sequence[int]) -> None:
    """Raise BackstopError for the first isolated print in a price column, unless the section keeps them.

    An isolated print is a price far from both neighbours, which would look like a crash. `prices` are in ray,
    `row_numbers` are their rows in the file.
    """
    if "prints" in section and section["prints"].read_choice(PRINTS) == "keep":
        return
    found = list_isolated_prints(prices)
    if not found:
        return
    first, length, usual_move = found[0]
    neighbours = [(prices[place], row_numbers[place]) for place in (first - 1, first + length)]
    what = describe_isolated_print(
        prices[first], neighbours, usual_move, lambda value: format_decimal(value, RAY)
    )
    file, others = section["file"], sum(each.length for each in found) - 1
    more = f" (and {others:,} more)" if others else ""
    file.raise_error(
        f"{file.find_local_file().name}: row {row_numbers[first]}, column {section['column'].text}: "
        f"{what}{more}: correct the file, or keep what is real with `prints: keep` beside `file`"
    )
