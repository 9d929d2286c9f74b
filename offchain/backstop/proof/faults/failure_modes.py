"""The ways in which a part breaks."""

from __future__ import annotations

from backstop.errors import BackstopError, describe_choices
from backstop.proof.faults.broken_contract_bytecode import (
    CLAIMS_TO_PAY,
    EATS,
    KEEPS,
    NO_CODE,
    PAYS_MORE,
    REASONS,
    REVERTS,
    SAYS_MOST,
    SAYS_NOTHING,
    SAYS_ONE,
    make_reentrant_code,
)
from backstop.proof.faults.component_failure_scenario import FaultScenario
from backstop.proof.faults.core_scenario import LOSS, WBTC, XAU

PROGRAMS = {
    "reverts": REVERTS,
    "reasons": REASONS,
    "eats": EATS,
    "no data": SAYS_NOTHING,
    "no code": NO_CODE,
    "says one": SAYS_ONE,
    "says most": SAYS_MOST,
    "claims": CLAIMS_TO_PAY,
    "overpays": PAYS_MORE,
    "keeps": KEEPS,
}
"""Way -> code in the place of a contract's own."""

RE_ENTERS = "re-enters"
SILENT, LIES = "silent", "lies"
"""Failure modes of a contract, and of an account that reports prices."""

FAILS = ("reverts", "reasons", "eats", "no data", "no code")
OF_CONTRACTS = (*FAILS, "says one", "says most", RE_ENTERS)
OF_STAGES = (*OF_CONTRACTS, "claims", "overpays", "keeps")
WAYS = (*OF_STAGES, SILENT, LIES)


def check_failure_mode(name: str) -> None:
    """Raise BackstopError if the name is no known failure mode."""
    if name not in WAYS:
        known = describe_choices(name, WAYS, "docs/how-to/faults.md")
        raise BackstopError(f"failure mode {name!r} is unknown; {known}")


def break_contract(
    scenario: FaultScenario, address: str, original_code: bytes, failure_mode: str, moment: str
) -> None:
    """Replace the code at an address by the code of a failure mode.

    A re-entering contract keeps its code and also covers an open loss.
    """
    host = scenario.host
    code = PROGRAMS.get(failure_mode)
    if code is None:
        loss = WBTC if moment == LOSS else XAU
        data = scenario.encode_call("LossWaterfall.cover", loss)
        code = make_reentrant_code(host, original_code, scenario.get_address("LossWaterfall"), data)
    host.set_code(address, code)
