"""The section `owners` of a scenario: how owners of vaults react."""

from __future__ import annotations

from itertools import pairwise

from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.owner_behavior import (
    BILLION,
    DEFENCES,
    PARTS,
    RELEASES,
    OwnerAction,
    OwnerBehavior,
)
from backstop.simulation.scenario.yaml_document_reader import Field, Section, read_document

WEEK = 7 * 86_400
_MOST_PLACES = 20
_FARTHEST = 1_000_000  # basis points


def read_owner_behavior(field: Field, block_time: int) -> OwnerBehavior:
    """Read the behaviour of vault owners, from this section or from the file that it names.

    `fit-owners` writes files of this form.
    """
    if "file" in field.read_mapping_entries():
        path = field.read_section(("file",))["file"].find_local_file()
        document = read_document(path)
        if "owners" not in document.read_mapping_entries():
            document.raise_error("has no section `owners`")
        return read_owner_behavior(document.read_mapping_entries()["owners"], block_time)
    section = field.read_section(("every", "idle", "defend", "release"))
    every = section["every"].read_bounded(quantity_units.read_seconds, block_time, WEEK)
    if every % block_time:
        section["every"].raise_error(f"{section['every'].text!r} is not a whole number of blocks")
    defend = section["defend"].read_section(
        ("distances", "chances", "within", "falls", "factors", "ways", "sizes", "least"), ("large",)
    )
    falls = _read_rising_ratios(defend["falls"])
    large = defend["large"].read_section(("debt", "factor")).fields_by_name if "large" in defend else None
    return OwnerBehavior(
        every=every,
        idle=_read_share(section["idle"]),
        within=defend["within"].read_bounded(quantity_units.read_seconds, block_time, WEEK),
        falls=falls,
        factors=_read_ratios(defend["factors"], len(falls)),
        large_debt=large["debt"].read_bounded(quantity_units.read_stablecoin, 1, 10**28) if large else 0,
        large_factor=large["factor"].read_bounded(quantity_units.read_basis_points, 0, _FARTHEST)
        if large
        else BASIS_POINTS,
        defend=_read_action(defend, DEFENCES),
        release=_read_action(
            section["release"].read_section(("distances", "chances", "ways", "sizes", "least")), RELEASES
        ),
    )


def _read_action(section: Section, ways: tuple[str, ...]) -> OwnerAction:
    distances = _read_rising_ratios(section["distances"])
    chances = section["chances"].read_items()
    if len(chances) != len(distances) + 1:
        section["chances"].raise_error(
            f"has {len(chances)} chances, and {len(distances)} distances divide into {len(distances) + 1}"
        )
    shares = section["ways"].read_section(ways)
    found = tuple(_read_share(shares[way]) for way in ways)
    if sum(found) != BILLION:
        section["ways"].raise_error("do not add up to 100%")
    sizes = _read_ratios(section["sizes"], PARTS + 1)
    if any(later < earlier for earlier, later in pairwise(sizes)) or sizes[-1] > 10_000:
        section["sizes"].raise_error("are not rising parts of the debt, up to 100%")
    return OwnerAction(
        distances=distances,
        chances=tuple(_read_share(each) for each in chances),
        ways=found,
        sizes=sizes,
        least=section["least"].read_bounded(quantity_units.read_basis_points, 0, _FARTHEST),
    )


def _read_share(field: Field) -> int:
    return field.read_bounded(quantity_units.read_percent_as_billionths, 0, BILLION)


def _read_ratios(field: Field, count: int) -> tuple[int, ...]:
    entries = field.read_items()
    if len(entries) != count:
        field.raise_error(f"has {len(entries)} entries, expected {count}")
    return tuple(each.read_bounded(quantity_units.read_basis_points, 0, _FARTHEST) for each in entries)


def _read_rising_ratios(field: Field) -> tuple[int, ...]:
    entries = field.read_items()
    if not 1 <= len(entries) <= _MOST_PLACES:
        field.raise_error(f"has {len(entries)} entries: write 1 to {_MOST_PLACES}")
    found = _read_ratios(field, len(entries))
    if any(later <= earlier for earlier, later in pairwise(found)):
        field.raise_error("do not rise")
    return found
