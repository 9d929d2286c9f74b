"""The committed gas of every job, written by `ape run gas --update`.

Keepers' costs and the filling of blocks in scenarios come from it, so that every host charges the same.
"""

from __future__ import annotations

import json
from pathlib import Path

from backstop.errors import BackstopError
from backstop.files.installation import format_command_as_started

SNAPSHOT = Path(__file__).parent / "gas-snapshot.json"


def read_gas_table() -> dict[str, int]:
    """Return the committed gas of each job (measured operation), by job name.

    Raises BackstopError if the file is missing or invalid.
    """
    try:
        rows = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["rows"]
        return {str(name): int(gas) for name, gas in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackstopError(
            f"{SNAPSHOT} is not a gas table ({error}): run `{format_command_as_started('gas --update')}`"
        ) from None


def write_gas_table_json(gas_by_job: dict[str, int]) -> None:
    """Write the gas of each job to the committed gas table, `gas-snapshot.json`."""
    SNAPSHOT.write_text(
        json.dumps({"schema_version": 1, "rows": gas_by_job}, indent=1) + "\n", encoding="utf-8"
    )
