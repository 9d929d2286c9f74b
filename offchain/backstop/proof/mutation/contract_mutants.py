"""All mutants of a contract, and a sample of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from random import Random

from backstop.errors import BackstopError, describe_choices
from backstop.hosts.artifacts import CONTRACTS
from backstop.proof.mutation.mutation_operators import OPERATORS
from backstop.proof.mutation.vyper_source import SourceText, TextEdit, VyperSource, iter_code

# Each file once: a module belongs to the one contract that runs it, or stands by itself.
FILES: dict[str, tuple[str, ...]] = {
    "Stablecoin": ("Stablecoin.vy",),
    "VaultEngine": (
        "VaultEngine.vy",
        "modules/loss_cover.vy",
        "modules/ledger.vy",
        "modules/listed_types.vy",
        "modules/revert_reason.vy",
        "modules/terms.vy",
    ),
    "PriceFeed": ("PriceFeed.vy", "modules/price_drops.vy", "modules/settlement_price.vy"),
    "Timelock": ("Timelock.vy",),
    "RiskPolicy": ("RiskPolicy.vy",),
    "ChainlinkReporter": ("ChainlinkReporter.vy",),
    "LiquidationEngine": ("LiquidationEngine.vy", "modules/policy_calls.vy", "modules/vault_flags.vy"),
    "CollateralAuction": ("CollateralAuction.vy", "modules/dutch_auction.vy", "modules/debt_repayment.vy"),
    "LossWaterfall": ("LossWaterfall.vy",),
    "LedgerStage": ("LedgerStage.vy",),
    "Pool": (
        "Pool.vy",
        "modules/exit_batches.vy",
        "modules/redeem_queue.vy",
        "modules/denominations.vy",
        "modules/shares.vy",
        "modules/permits.vy",
        "modules/vesting_assets.vy",
    ),
    "EquityPool": ("EquityPool.vy",),
    "RecoveryClaims": ("RecoveryClaims.vy", "modules/series_token.vy"),
    "ClawbackStage": ("ClawbackStage.vy",),
    "Equity": ("Equity.vy",),
    "EquityAuction": ("EquityAuction.vy",),
    "SurplusAuction": ("SurplusAuction.vy",),
    "Treasury": ("Treasury.vy",),
    "Settlement": ("Settlement.vy",),
    "AutoCeiling": ("AutoCeiling.vy",),
    "BridgeFacilitator": ("BridgeFacilitator.vy",),
    "CoinAdapter": ("CoinAdapter.vy",),
    "FixedDiscount": ("FixedDiscount.vy",),
    "StabilityPool": ("StabilityPool.vy",),
    "CircuitBreaker": ("CircuitBreaker.vy",),
    "MarginOrders": ("MarginOrders.vy", "modules/account_owner.vy", "modules/signature_check.vy"),
    "MarginPolicy": ("MarginPolicy.vy",),
    "MarginFund": ("MarginFund.vy",),
    "PerpetualMarket": (
        "PerpetualMarket.vy",
        "modules/cycle_book.vy",
        "modules/cycle_losses.vy",
        "modules/price_path.vy",
    ),
    "PerpetualTrading": ("PerpetualTrading.vy",),
    "PerpetualLiquidityVault": ("PerpetualLiquidityVault.vy",),
    "RankedDeleveraging": ("RankedDeleveraging.vy",),
    "ProRataDeleveraging": ("ProRataDeleveraging.vy",),
    "Workouts": ("Workouts.vy",),
    "product_sum": ("modules/product_sum.vy",),
    "roles": ("modules/roles.vy",),
    "units": ("modules/units.vy",),
    "bounds": ("modules/bounds.vy",),
}


@dataclass(frozen=True)
class Mutant:
    """Small fault in one contract file, identified by its text rather than its line number.

    It so stays valid after edits elsewhere in the file.
    """

    file: str
    function: str
    operator: str
    before: str  # the lines it changes, their white space collapsed
    after: str
    nth: int  # of equal ones in the function, from 1
    line: int
    edit: TextEdit

    @property
    def key(self) -> tuple[str, ...]:
        return self.file, self.function, self.operator, self.before, self.after, str(self.nth)

    @property
    def id(self) -> str:
        return hashlib.sha256("\0".join(self.key).encode()).hexdigest()[:12]

    def apply(self, text: str) -> str:
        """Return the file's text with the fault applied."""
        return text[: self.edit.start] + self.edit.text + text[self.edit.end :]

    def make_diff(self, root: Path = CONTRACTS) -> str:
        """Return the fault as a unified diff of the contract file."""
        text = (root / self.file).read_text()
        before, after = text.splitlines(), self.apply(text).splitlines()
        name = f"contracts/{self.file}"
        return "\n".join(unified_diff(before, after, name, name, lineterm="", n=2))


def list_own_files(contract: str) -> tuple[str, ...]:
    """Return the source files that are tested as a part of this contract.

    Raises BackstopError if the contract is unknown.
    """
    if contract not in FILES:
        known = describe_choices(contract, FILES, "docs/reference/contracts.md")
        raise BackstopError(f"contract {contract!r} is unknown; {known}")
    return FILES[contract]


def list_mutants(contract: str, root: Path = CONTRACTS) -> list[Mutant]:
    """Return all mutants of a contract's own files, in the order of the text."""
    return [
        mutant
        for file in list_own_files(contract)
        for mutant in list_file_mutants(file, (root / file).read_text())
    ]


def shuffle_mutants(contract: str, seed: int, root: Path = CONTRACTS) -> list[Mutant]:
    """Return all mutants of a contract, shuffled by the seed; samples take the first ones."""
    found = list_mutants(contract, root)
    Random(f"{seed} {contract}").shuffle(found)
    return found


def list_file_mutants(file: str, text: str) -> list[Mutant]:
    """Return all mutants of one Vyper file, in the order of its text.

    `file` is the file's path, and `text` its content.
    """
    source = VyperSource(text)
    return [
        mutant
        for function, part in source.iter_functions_and_constants()
        for mutant in build_mutants(
            file,
            function,
            source,
            {
                (edit, operator)
                for node in iter_code(part)
                for operator, make in OPERATORS.items()
                for edit in make(node, source)
            },
        )
    ]


def build_mutants(
    file: str, function: str, source: SourceText, edits_and_operators: Iterable[tuple[TextEdit, str]]
) -> Iterator[Mutant]:
    """Yield the mutants that the given edits of one function make, in the order of the text."""
    seen: Counter[tuple[str, ...]] = Counter()
    for edit, operator in sorted(edits_and_operators):
        start, end = source.widen_to_lines(edit.start, edit.end)
        before = source.text[start:end]
        after = source.text[start : edit.start] + edit.text + source.text[edit.end : end]
        key = (function, operator, _collapse_spaces(before), _collapse_spaces(after))
        seen[key] += 1
        line = source.get_line_number(edit.start)
        yield Mutant(file, *key, nth=seen[key], line=line, edit=edit)


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())
