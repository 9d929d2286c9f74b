"""The default behavior of owners, where a scenario does not say how they react."""

from __future__ import annotations

from pathlib import Path

from backstop.simulation.scenario.owner_behavior import OwnerBehavior
from backstop.simulation.scenario.owners_section import read_owner_behavior
from backstop.simulation.scenario.yaml_document_reader import read_document

PATH = Path(__file__).with_name("default_owners.yaml")


def read_default_owner_behavior(block_time: int) -> OwnerBehavior:
    """Return the packaged default behaviour of vault owners.

    `block_time` is the block time [seconds], which must divide an hour.
    """
    return read_owner_behavior(read_document(PATH).read_section(("owners",))["owners"], block_time)
