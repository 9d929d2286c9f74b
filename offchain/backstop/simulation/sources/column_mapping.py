"""Mappings: which column of a stranger's file means what, and in which units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backstop.errors import BackstopError
from backstop.simulation.scenario.yaml_document_reader import Field, read_document
from backstop.simulation.sources.liquidation_terms import list_known_systems

LIBRARY = Path(__file__).parent / "mappings"

REQUIRED = ("owner", "collateral", "locked", "debt")
FIELDS = (
    *REQUIRED,
    "position",
    "rate",
    "repaid",
    "debt_token",
    "price",
    "debt_price",
    "threshold",
    "counts",
)
DOCUMENTED = ("debt_token", "price", "debt_price", "threshold")
"""Optional fields that a column of their own name is read for; `rate` or `position` may mean anything."""
SCALED = ("locked", "debt", "rate", "repaid", "price", "debt_price", "threshold")
FORMS = ("positions", "events")
"""The kind of a row: a position, or an event that changed one."""
_DEFAULT_ACCOUNTS = {"positions": "apart", "events": "pooled"}
_AMOUNTS = ("amount", "debt_amount")
BALANCES = ("locked_after", "debt_after")
"""Fields of an account's balances after an event, in place of the amounts."""
EVENT_FIELDS = (
    "kind",
    "account",
    "symbol",
    "amount",
    "time",
    "debt_symbol",
    "debt_amount",
    "position",
    *BALANCES,
)
_EVENT_REQUIRED = EVENT_FIELDS[:5]
_EVENT_DOCUMENTED = EVENT_FIELDS[5:7]
_EVENT_SCALED = (*_AMOUNTS, *BALANCES)
KINDS = ("deposit", "withdrawal", "draw", "repayment", "liquidation")
"""The kinds of an event."""
ACCOUNTS = ("apart", "pooled")
"""Whether each row is a vault, or the rows of one owner are one account with one debt."""


@dataclass(frozen=True)
class ColumnMapping:
    """Mapping from a file's columns to the fields of positions or events."""

    columns: Mapping[str, str] = field(default_factory=dict)  # field -> column; its own name without
    fixed: Mapping[str, str] = field(default_factory=dict)  # field -> the same cell in all rows
    decimals: Mapping[str, str] = field(default_factory=dict)  # field -> digits, a column, or TOKEN:N|TOKEN:N
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # column -> cells of rows that count
    rename: Mapping[str, str] = field(default_factory=dict)  # symbol -> symbol
    accounts: str = "apart"
    form: str = "positions"
    kinds: Mapping[str, str] = field(default_factory=dict)  # what the file calls a kind -> kind, of events
    system: str = ""  # whose liquidation terms hold where a row has no threshold

    def get_column(self, name: str) -> str | None:
        """Return the column of a field; None if the field has no column or a fixed value."""
        if name in self.fixed:
            return None
        return self.columns.get(name, name if name in self.required_fields else None)

    @property
    def has_balances(self) -> bool:
        """True if events give the account's balances after them, instead of amounts."""
        return self.form == "events" and any(name in self.columns for name in BALANCES)

    @property
    def required_fields(self) -> tuple[str, ...]:
        """Fields that every file of this form must have."""
        if self.has_balances:
            return (*(name for name in _EVENT_REQUIRED if name != "amount"), "debt_symbol", *BALANCES)
        return _EVENT_REQUIRED if self.form == "events" else REQUIRED

    def list_fields(self) -> list[str]:
        """Return the fields that the mapping reads; without amounts if events give balances."""
        found = list(dict.fromkeys((*self.required_fields, *self.columns)))
        return [name for name in found if not (self.has_balances and name in _AMOUNTS)]

    def add_documented_columns(self, columns: Sequence[str]) -> ColumnMapping:
        """Return the mapping extended by optional columns that the file has under their documented names.

        Fields that the mapping already defines stay unchanged.
        """
        documented = _EVENT_DOCUMENTED if self.form == "events" else DOCUMENTED
        found = {
            name: name
            for name in documented
            if name in columns
            and name not in {**self.columns, **self.fixed}
            and not (self.has_balances and name in _AMOUNTS)
        }
        return replace(self, columns={**self.columns, **found})

    def override_fields(
        self,
        columns: Mapping[str, str] | None = None,
        fixed: Mapping[str, str] | None = None,
        decimals: Mapping[str, str | int] | None = None,
        only: Mapping[str, str] | None = None,
        rename: Mapping[str, str] | None = None,
        accounts: str | None = None,
    ) -> ColumnMapping:
        """Return the mapping with parts replaced; raise BackstopError for unknown fields."""
        known, settable, scaled = _get_known_fields(self.form)
        _refuse_unknown("columns", columns, known)
        _refuse_unknown("fixed", fixed, settable)
        _refuse_unknown("decimals", decimals, scaled)
        if accounts not in (None, *ACCOUNTS):
            raise BackstopError(f"accounts: {accounts!r} is not one of: {', '.join(ACCOUNTS)}")
        if self.form == "events" and accounts == "apart":
            raise BackstopError("accounts: 'apart': an event is of an account, whose tokens belong together")
        settled = {name: cell for name, cell in self.fixed.items() if name not in (columns or {})}
        return replace(
            self,
            columns={**self.columns, **(columns or {})},
            fixed={**settled, **(fixed or {})},
            decimals={**self.decimals, **{name: str(each) for name, each in (decimals or {}).items()}},
            only={**self.only, **{name: tuple(cells.split("|")) for name, cells in (only or {}).items()}},
            rename={**self.rename, **(rename or {})},
            accounts=accounts or self.accounts,
        )


def mapping_names() -> list[str]:
    """Return the names of the packaged column mappings, sorted."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def load_mapping(name_or_file: str | Path | None) -> ColumnMapping:
    """Load a column mapping by its name or from a file.

    None gives the default mapping, in which fields are columns of the same name. Raises BackstopError if the
    mapping is unknown or invalid.
    """
    if name_or_file is None:
        return ColumnMapping()
    path = LIBRARY / f"{name_or_file}.yaml"
    if not path.is_file():
        path = Path(name_or_file)
        if path.suffix not in (".yaml", ".yml") or not path.is_file():
            names = ", ".join(mapping_names())
            raise BackstopError(
                f"mapping {str(name_or_file)!r} is unknown; expected one of {names}, or a .yaml file"
            )
    section = read_document(path).read_section(
        (), ("title", "form", "kinds", "system", "columns", "fixed", "decimals", "only", "rename", "accounts")
    )
    form = section["form"].read_choice(FORMS) if "form" in section else "positions"
    for name, known in zip(("columns", "fixed", "decimals"), _get_known_fields(form), strict=True):
        if name in section:
            section[name].read_section((), known)
    for name in ("kinds",) if form == "positions" else ("accounts",):
        if name in section:
            section[name].raise_error(f"is not of a mapping of the form {form!r}: remove it")
    kinds = section["kinds"].read_mapping_entries() if "kinds" in section else {}
    accounts, system = section.get("accounts"), section.get("system")

    def texts(name: str) -> dict[str, str]:
        return (
            {key: each.text for key, each in section[name].read_mapping_entries().items()}
            if name in section
            else {}
        )

    only = section["only"].read_mapping_entries() if "only" in section else {}
    return ColumnMapping(
        columns=texts("columns"),
        fixed=texts("fixed"),
        decimals=texts("decimals"),
        only={column: _list_accepted_cell_texts(each) for column, each in only.items()},
        rename=texts("rename"),
        accounts=_DEFAULT_ACCOUNTS[form] if accounts is None else accounts.read_choice(ACCOUNTS),
        form=form,
        kinds={name: each.read_choice(KINDS) for name, each in kinds.items()},
        system="" if system is None else system.read_choice(list_known_systems()),
    )


def _get_known_fields(form: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the fields of a form that may have a column, a fixed value, and decimals."""
    if form == "events":
        return EVENT_FIELDS, (*EVENT_FIELDS, "debt_price"), _EVENT_SCALED
    return FIELDS, FIELDS, SCALED


def _list_accepted_cell_texts(filter_field: Field) -> tuple[str, ...]:
    return (
        tuple(item.text for item in filter_field.read_items())
        if isinstance(filter_field.value, list)
        else (filter_field.text,)
    )


def _refuse_unknown(what: str, given: Mapping[str, object] | None, known: tuple[str, ...]) -> None:
    for name in given or ():
        if name not in known:
            raise BackstopError(f"{what}: {name!r} is not one of: {', '.join(known)}")
