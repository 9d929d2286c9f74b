"""Settings of a keeper: a YAML file, checked to the last field, and options that override it.

Each error is one line, with the file, the line and the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.hosts.endpoint import is_http, require_http_or_socket_path
from backstop.hosts.host_interface import CALL_GAS
from backstop.live.monitor.alerts import AlertSettings, webhook_host
from backstop.live.monitor.health_conditions import ALERTS, STALE
from backstop.live.monitor.http_server import parse_listen_address
from backstop.live.node.gas_fees import FEE_CAP, TIP_CAP
from backstop.live.node.private_relay import WAYS, RelaySettings
from backstop.live.operate.block_gas import BLOCK_GAS
from backstop.live.operate.live_roles import MOST_CALLS, ROLES, Option, describe_unknown_role
from backstop.live.operate.spending_limits import MOST_FAILURES, SpendingLimits
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.yaml_document_reader import Field, Section, read_document

SCHEMA_VERSION = 1
LOGS = ("human", "json")
_MOST_TIME = 86_400_000
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class StrategySettings:
    """Settings of a keeper strategy, which values collateral and positions.

    The strategy is a Python class (`kind`), or an external program (`command`).
    """

    kind: str = ""  # module:Class
    command: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    answer_within: float = 0.2  # seconds; a class is not stopped
    otherwise: str = "no bid"  # or "built-in", where it fails


@dataclass(frozen=True)
class KeeperSettings:
    """All settings of a keeper process. Times are in seconds, fees in wei per gas, profits in wad."""

    networks: tuple[str, ...] = ()
    deployment: Path = Path("deployment.json")
    roles: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)  # by role
    strategies: Mapping[str, StrategySettings] = field(default_factory=dict)  # by role
    accounts: tuple[str, ...] = ()  # NAME=ALIAS
    signer: str | None = None  # its address
    relay: RelaySettings | None = None
    may_sign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # Contract.function, by keeper
    minimum_profit: int = WAD
    journal: Path = Path("runs/keeper")
    snapshot: Path | None = None  # of what was followed
    cold: bool = False  # not to start from it
    log: str = "human"
    interval: float = 0.1
    patience: float = 120.0
    grace: float = 10.0
    rpc_timeout: float = 5.0
    most_failures: int = MOST_FAILURES
    confirmations: int = 2
    fee_cap: int = FEE_CAP
    tip_cap: int = TIP_CAP
    replace_after: float = 20.0
    gas_per_block: int = BLOCK_GAS
    gas_token: str | None = None
    metrics: str | None = None  # PORT, or ADDRESS:PORT
    stale: float = STALE
    alerts: AlertSettings | None = None
    limits: Mapping[str, SpendingLimits] = field(
        default_factory=dict
    )  # by role; `others` are those not named

    @property
    def paused_roles_folder(self) -> Path:
        """Folder that holds one file for each role that the operator has paused."""
        return self.journal / "paused"

    @property
    def longest_node_signer_relay_seconds(self) -> float:
        """Longest time that all nodes, the signer and the relay may take in turn [seconds]."""
        return self.rpc_timeout * (len(self.networks) + bool(self.signer) + bool(self.relay))


_READERS: dict[str, tuple[Callable[[str], int], int, int]] = {
    "minimum_profit": (quantity_units.read_stablecoin, 0, 10**24),
    "takes_at": (quantity_units.read_basis_points, 1, 10_000),
    "calls_per_block": (quantity_units.read_whole_number, 1, MOST_CALLS),
    "relieves": (quantity_units.read_basis_points, 0, 100_000),
    "premium": (quantity_units.read_basis_points, 0, 10_000),
    "deviation": (quantity_units.read_basis_points, 1, 10_000),
    "heartbeat": (quantity_units.read_seconds, 1, 7 * 86_400),
    "instalments": (quantity_units.read_whole_number, 1, 100),
    "capital": (quantity_units.read_stablecoin, 0, 10**30),
    "each": (quantity_units.read_stablecoin, 1, 10**30),
    "call_gas": (quantity_units.read_gas, 100_000, CALL_GAS),
}
_OF_ROLES: dict[str, tuple[str, ...]] = {
    "reporter": ("deviation", "heartbeat", "signs"),
    "poker": ("reports", "deviation", "heartbeat"),
    "accruer": ("heartbeat",),
    "liquidator": ("minimum_profit", "calls_per_block"),
    "taker": ("minimum_profit", "calls_per_block", "strategy"),
    "bidder": ("minimum_profit", "takes_at", "calls_per_block", "strategy"),
    "crank": ("calls_per_block", "heartbeat"),
    "recogniser": ("deviation", "calls_per_block"),
    "recap_bidder": ("minimum_profit", "takes_at", "strategy"),
    "surplus_bidder": ("minimum_profit",),
    "treasurer": ("heartbeat",),
    "caller": ("calls_per_block",),
    "settler": ("calls_per_block",),
    "margin_crank": ("call_gas", "reports", "deviation", "calls_per_block"),
    "backstop_keeper": ("minimum_profit", "calls_per_block", "reports"),
    "margin_liquidator": ("minimum_profit", "capital", "calls_per_block", "relieves", "reports"),
    "pool_buyer": ("minimum_profit", "capital", "premium", "calls_per_block", "reports"),
    "deleverager": ("call_gas", "calls_per_block", "reports"),
    "matcher": ("orders", "reports", "calls_per_block"),
    "debtor": ("instalments", "calls_per_block"),
    "bridge": ("facilitator", "each", "capital", "heartbeat", "to"),
}


# Settings that have another name in a KeeperGroup.
_GROUP_FIELDS = {"calls_per_block": "most"}
# Names of earlier versions: today's, and what has changed with it.
_RENAMED = {
    "most": (
        "calls_per_block",
        "it counts calls for a block, however often that is looked at; without it gas_per_block is the limit",
    )
}


def read_yaml_keeper_settings_by_name(path: Path) -> dict[str, Any]:
    """Read a keeper's YAML settings file and return the given KeeperSettings fields by name.

    Relative paths in the file start from the folder of the file. Raise BackstopError with file, line and
    field if a value is invalid.
    """
    return read_keeper_settings_of_document(read_document(path))


def read_keeper_settings_of_document(document: Field) -> dict[str, Any]:
    """Return the KeeperSettings fields that a parsed YAML document gives, by name.

    Raise BackstopError with file, line and field if a value is invalid. `journal` is always set.
    """
    if (may_sign := document.read_mapping_entries().get("may_sign")) is not None and may_sign.null:
        _read_allowed_calls_by_account(may_sign)  # left empty is not left out
    top = document.read_section(("schema_version",), ("network", "roles", *_FIELDS))
    version = top["schema_version"].read_value(quantity_units.read_whole_number)
    if version != SCHEMA_VERSION:
        top["schema_version"].raise_error(f"this program reads version {SCHEMA_VERSION}")
    found: dict[str, Any] = {name: read(top[name]) for name, read in _FIELDS.items() if name in top}
    if (network := top.get("network")) is not None:
        several = network.read_items() if isinstance(network.value, list) else [network]
        found["networks"] = tuple(each.text for each in several)
    if "roles" in top:
        found |= _read_roles_options_and_strategies(top["roles"])
    # As all its paths: whoever names the same file from another folder means the same keeper.
    found.setdefault("journal", document.file.parent / KeeperSettings.journal)
    return found


def _read_relay(field: Field) -> RelaySettings:
    section = field.read_section(("url", "roles"), ("blocks", "way"))
    _check_settings_field(section["url"], require_http_or_socket_path)
    if not is_http(section["url"].text):
        section["url"].raise_error("a relay has an http:// or https:// address")
    found: dict[str, Any] = {
        "roles": tuple(each.read_choice(tuple(ROLES)) for each in section["roles"].read_items())
    }
    if "blocks" in section:
        found["blocks"] = section["blocks"].read_bounded(quantity_units.read_whole_number, 1, 25)
    if "way" in section:
        found["way"] = section["way"].read_choice(WAYS)
    return RelaySettings(section["url"].text, **found)


_LIMITS: dict[str, tuple[Callable[[str], int], int, int]] = {
    **{
        f"gas_{window}": (partial(quantity_units.read_coins_as_wad, "coins"), 0, 10**24)
        for window in ("hour", "day")
    },
    **{
        f"risk_{window}": (partial(quantity_units.read_coins_as_wad, "tokens"), 0, 10**30)
        for window in ("hour", "day")
    },
    "deviation": (quantity_units.read_basis_points, 1, 100_000),
}


def _read_spending_limits_by_role(field: Field) -> dict[str, SpendingLimits]:
    """Return the spending limits of each role, from the section `limits`.

    The key `others` holds the limits of roles that have none of their own.
    """
    found: dict[str, SpendingLimits] = {}
    for role, entry in field.read_mapping_entries().items():
        if role not in (*ROLES, "others"):
            entry.raise_error(describe_unknown_role(role, (*ROLES, "others")))
        section = entry.read_section((), tuple(_LIMITS))
        found[role] = SpendingLimits(
            **{name: each.read_bounded(*_LIMITS[name]) for name, each in section.fields_by_name.items()}
        )
    return found


def _read_alerts(field: Field) -> AlertSettings:
    section = field.read_section(("url",), ("on",))
    _check_settings_field(section["url"], webhook_host)
    if "on" not in section:
        return AlertSettings(section["url"].text)
    return AlertSettings(
        section["url"].text, tuple(each.read_choice(tuple(ALERTS)) for each in section["on"].read_items())
    )


def _check_settings_field(settings_field: Field, check: Callable[[str], object]) -> None:
    try:
        check(settings_field.text)
    except BackstopError as error:
        settings_field.raise_error(str(error))


def parse_duration_in_milliseconds(text: str) -> int:
    """Return a duration such as '250 ms' or '2 min' in milliseconds."""
    match = re.fullmatch(r"(\d[\d_]*) ?ms", text)
    return int(match[1]) if match else 1000 * quantity_units.read_seconds(text)


def _read_roles_options_and_strategies(field: Field) -> dict[str, Any]:
    """Return roles, options and strategies from the section `roles`.

    The section is a list of role names, or a mapping from role name to its settings.
    """
    if isinstance(field.value, list):
        return {"roles": tuple(each.read_choice((*ROLES, "all")) for each in field.read_items())}
    options: dict[str, Mapping[str, Option]] = {}
    strategies: dict[str, StrategySettings] = {}
    for role, entry in field.read_mapping_entries().items():
        if role not in ROLES:
            entry.raise_error(describe_unknown_role(role, ROLES))
        if entry.value in ("", "null", "~"):
            continue
        for old, (new, why) in _RENAMED.items():
            if isinstance(entry.value, dict) and old in entry.value and new in _OF_ROLES.get(role, ()):
                entry.read_mapping_entries()[old].raise_error(f"is called {new} now: {why}")
        section = entry.read_section((), _OF_ROLES.get(role, ()))
        options[role] = {
            _GROUP_FIELDS.get(name, name): _read_keeper_role_option_value(value, name)
            for name, value in section.fields_by_name.items()
            if name != "strategy"
        }
        if "strategy" in section:
            strategies[role] = _read_strategy(section["strategy"])
    return {"roles": tuple(field.read_mapping_entries()), "options": options, "strategies": strategies}


def _read_keeper_role_option_value(field: Field, option_name: str) -> Option:
    if option_name == "facilitator":
        return field.text
    if option_name in ("orders", "signs"):
        return str(field.file.parent / field.text)
    if option_name == "reports":
        several = field.read_items() if isinstance(field.value, list) else [field]
        return tuple(_read_url_or_path(each) for each in several)
    if option_name == "to":
        if not re.fullmatch(r"0x[0-9a-fA-F]{40}", field.text):
            field.raise_error(f"{field.text!r} is not an address")
        return field.text.lower()
    return field.read_bounded(*_READERS[option_name])


def _read_url_or_path(field: Field) -> str:
    """Return an http(s):// address unchanged, or a path resolved from the settings file's folder."""
    _check_settings_field(field, require_http_or_socket_path)
    return field.text if is_http(field.text) else str(field.file.parent / field.text)


def _read_strategy(field: Field) -> StrategySettings:
    section: Section = field.read_section((), ("class", "command", "options", "answer_within", "otherwise"))
    if ("class" in section) == ("command" in section):
        field.raise_error("give either `class: module:Class` or `command: [program, argument]`")
    found: dict[str, Any] = {}
    if "class" in section:
        found["kind"] = section["class"].text
    else:
        command = tuple(each.text for each in section["command"].read_items())
        if not command:
            section["command"].raise_error("is empty")
        found["command"] = command
    if "options" in section:
        found["options"] = {
            name: each.text for name, each in section["options"].read_mapping_entries().items()
        }
    if "answer_within" in section:
        found["answer_within"] = (
            section["answer_within"].read_bounded(parse_duration_in_milliseconds, 1, 60_000) / 1000
        )
    if "otherwise" in section:
        found["otherwise"] = section["otherwise"].read_choice(("no bid", "built-in"))
    return StrategySettings(**found)


def _read_accounts(field: Field) -> tuple[str, ...]:
    return tuple(f"{name}={alias.text}" for name, alias in field.read_mapping_entries().items())


def _read_allowed_calls_by_account(field: Field) -> dict[str, tuple[str, ...]]:
    """Return the calls (Contract.function) that each account may sign.

    An empty section is an error, not an absent list: an operator that empties the list wants to stop the
    accounts.
    """
    if field.null or field.value == {}:
        field.raise_error("is empty: give a keeper `[]`, which may sign nothing then, or leave may_sign out")
    return {
        name: tuple(call.text for call in each.read_items())
        for name, each in field.read_mapping_entries().items()
    }


def _read_path(field: Field) -> Path:
    """Return a path, resolved from the folder of the settings file."""
    return field.file.parent / field.text


def _read_text(field: Field, check: Callable[[str], object] = str) -> str:
    """Return the field's text; raise an error at the field if `check` raises BackstopError for it."""
    _check_settings_field(field, check)
    return field.text


def _read_duration(field: Field, least: int = 0) -> float:
    """Return a duration of at least `least` milliseconds and at most a day [seconds]."""
    return field.read_bounded(parse_duration_in_milliseconds, least, _MOST_TIME) / 1000


def _read_bounded(field: Field, read: Callable[[str], int], least: int, most: int) -> int:
    return field.read_bounded(read, least, most)


_gas_price = partial(_read_bounded, read=quantity_units.read_gas_price, least=1, most=10**15)
_FIELDS: dict[str, Callable[[Field], Any]] = {
    **dict.fromkeys(("deployment", "journal", "snapshot"), _read_path),
    **dict.fromkeys(("patience", "grace", "replace_after", "stale"), _read_duration),
    **dict.fromkeys(("interval", "rpc_timeout"), partial(_read_duration, least=10)),
    **dict.fromkeys(("fee_cap", "tip_cap"), _gas_price),
    "accounts": _read_accounts,
    "signer": partial(_read_text, check=require_http_or_socket_path),
    "relay": _read_relay,
    "may_sign": _read_allowed_calls_by_account,
    "gas_per_block": partial(_read_bounded, read=quantity_units.read_gas, least=1_000_000, most=10**9),
    "most_failures": partial(_read_bounded, read=quantity_units.read_whole_number, least=1, most=1_000),
    "confirmations": partial(_read_bounded, read=quantity_units.read_whole_number, least=0, most=1_000),
    "minimum_profit": partial(_read_keeper_role_option_value, option_name="minimum_profit"),
    "log": lambda field: field.read_choice(LOGS),
    "gas_token": _read_text,
    "metrics": partial(_read_text, check=parse_listen_address),
    "alerts": _read_alerts,
    "limits": _read_spending_limits_by_role,
}
"""The reader of each field that does not depend on other fields."""
