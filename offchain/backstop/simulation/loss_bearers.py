"""The bearers of a loss: the groups of people behind the stages of the waterfall, first payers first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

NOBODY = "not yet covered"
"""Label of `holders` in tables: no group has paid the outstanding bad debt."""


class LossBearer(NamedTuple):
    """Group of people that bears losses, and the waterfall stages that pay with its money."""

    label: str
    clause: str  # of a sentence, {} is the amount
    stages: tuple[str, ...] = ()


GROUPS: dict[str, LossBearer] = {
    "borrowers": LossBearer(
        "Borrowers: collateral sold below its value, penalties, debt passed on to other vaults",
        "borrowers lost {} in cheap sales and penalties",
        ("redistribution",),
    ),
    "protocol": LossBearer(
        "The protocol's own funds: buffers and reserve",
        "the protocol's own funds paid {}",
        ("buffer", "reserve", "scripted"),
    ),
    "junior": LossBearer("The junior pool: members that lose first", "the junior pool lost {}", ("junior",)),
    "equity": LossBearer(
        "Equity: stake that was slashed and sold, holders diluted by new tokens",
        "holders of equity gave up {}",
        ("staked_equity", "minted_equity"),
    ),
    "senior": LossBearer("The senior pool: members that lose later", "the senior pool lost {}", ("senior",)),
    "members": LossBearer(
        "All pools: income that had not vested yet", "members of pools lost {} of fresh income", ("clawback",)
    ),
    "savers": LossBearer("Savers: a haircut on deposits", "savers lost {}", ("savings",)),
    "holders": LossBearer(
        "Not yet covered: outstanding, behind every holder's coins", "{} of bad debt is not yet covered"
    ),
}
"""A new stage joins by its name in one of these."""

MARGIN_GROUPS: dict[str, LossBearer] = {
    "insurance": LossBearer(
        "The insurance of the margin market", "the margin market's insurance paid {}", ("insured",)
    ),
    "winners": LossBearer(
        "Traders that gained: from profits that they withdrew, had then, or made later",
        "accounts that gained in the margin market gave up {} of it",
        ("clawed_back", "taken", "cut"),
    ),
    "unpaid": LossBearer(
        "Not yet covered: owed by accounts of the margin market",
        "{} that accounts of the margin market owe is not yet covered",
    ),
}
"""The bearers of the margin market's losses, by kind of payment; posted losses are paid by stages."""

PAYERS = {
    "clawed_back": "withdrawn profits",
    "insured": "insurance",
    "taken": "gains of the cycle",
    "posted": "the protocol",
    "cut": "later gains",
}
"""Bearers of a loss beyond an account's own margin, in this order, by the kind of a payment."""


ALL_GROUPS = GROUPS | MARGIN_GROUPS

_OF_STAGE = {stage: name for name, group in GROUPS.items() for stage in group.stages}


def get_loss_bearer(stage: str) -> str:
    """Return the name of the group that bears the payments of a waterfall stage."""
    return _OF_STAGE[stage]


def sum_losses_by_group(
    stages: Iterable[str], covered: Mapping[str, int], borrowers: int, outstanding: int
) -> dict[str, int]:
    """Return the loss that each group of bearers bore, in the unit of the given amounts.

    `covered` is the payment of each stage, `borrowers` the borrowers' own loss, `outstanding` the unpaid
    rest. Only groups with a deployed stage are included, besides borrowers and holders.
    """
    stages = list(stages)
    found = {
        name: sum(covered[stage] for stage in stages if stage in group.stages)
        for name, group in GROUPS.items()
        if name in ("borrowers", "holders") or any(stage in group.stages for stage in stages)
    }
    found["borrowers"] += borrowers
    found["holders"] = outstanding
    return found
