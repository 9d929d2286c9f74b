"""Settings of a keeper: a YAML file, checked to the last field, and options that go before it.

Whatever is wrong is one line, with the file, the line and the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.hosts.endpoint import check_scheme, is_http
from backstop.hosts.host import CALL_GAS
from backstop.live.node.fees import FEE_CAP, TIP_CAP
from backstop.live.node.relay import WAYS, RelaySettings
from backstop.live.operate.brakes import MOST_FAILURES, Limits
from backstop.live.operate.roles import ROLES, Option
from backstop.live.watch.alerts import AlertSettings, webhook_host
from backstop.live.watch.server import listening
from backstop.live.watch.troubles import ALERTS, STALE
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import units
from backstop.simulation.scenario.document import Field, Section, read_document

SCHEMA_VERSION = 1
LOGS = ("human", "json")
_MOST_TIME = 86_400_000
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class StrategySettings:
    """The strategy that says what things are worth: a class of this Python, or a program."""

    kind: str = ""  # module:Class
    command: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    answer_within: float = 0.2  # seconds; a class is not stopped
    otherwise: str = "no bid"  # or "built-in", where it fails


@dataclass(frozen=True)
class Settings:
    """All settings of a keeper. Times in seconds."""

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
    gas_token: str | None = None
    metrics: str | None = None  # PORT, or ADDRESS:PORT
    stale: float = STALE
    alerts: AlertSettings | None = None
    limits: Mapping[str, Limits] = field(default_factory=dict)  # by role; `others` are those not named

    @property
    def pauses(self) -> Path:
        """The folder with roles that are paused."""
        return self.journal / "paused"


_READERS: dict[str, tuple[Callable[[str], int], int, int]] = {
    "minimum_profit": (units.stablecoin, 0, 10**24),
    "takes_at": (units.basis_points, 1, 10_000),
    "most": (units.count, 1, 100),
    "relieves": (units.basis_points, 0, 100_000),
    "deviation": (units.basis_points, 1, 10_000),
    "heartbeat": (units.seconds, 1, 7 * 86_400),
    "instalments": (units.count, 1, 100),
    "capital": (units.stablecoin, 0, 10**30),
    "each": (units.stablecoin, 1, 10**30),
    "call_gas": (units.gas, 100_000, CALL_GAS),
}
_OF_ROLES: dict[str, tuple[str, ...]] = {
    "reporter": ("deviation", "heartbeat", "signs"),
    "poker": ("reports", "deviation", "heartbeat"),
    "accruer": ("heartbeat",),
    "liquidator": ("minimum_profit", "most"),
    "taker": ("minimum_profit", "most", "strategy"),
    "bidder": ("minimum_profit", "takes_at", "most", "strategy"),
    "crank": ("most", "heartbeat"),
    "recogniser": ("deviation", "most"),
    "recap_bidder": ("minimum_profit", "takes_at", "strategy"),
    "surplus_bidder": ("minimum_profit",),
    "treasurer": ("heartbeat",),
    "caller": ("most",),
    "settler": ("most",),
    "margin_crank": ("reports", "deviation", "most"),
    "margin_liquidator": ("minimum_profit", "capital", "most", "relieves", "reports"),
    "deleverager": ("call_gas", "most"),
    "matcher": ("orders", "reports", "most"),
    "debtor": ("instalments", "most"),
    "bridge": ("domain", "each", "capital", "heartbeat", "to"),
}
_OPTIONAL = (
    *(
        "network",
        "deployment",
        "roles",
        "accounts",
        "minimum_profit",
        "journal",
        "snapshot",
        "log",
        "interval",
        "patience",
    ),
    *("grace", "rpc_timeout", "most_failures", "confirmations", "fee_cap", "tip_cap", "replace_after"),
    *("gas_token", "metrics", "stale", "alerts", "limits", "signer", "may_sign", "relay"),
)


def read_settings(path: Path) -> dict[str, Any]:
    """Read the fields of Settings that a file gives. Its paths start from its folder."""
    top = read_document(path).section(("schema_version",), _OPTIONAL)
    version = top["schema_version"].read(units.count)
    if version != SCHEMA_VERSION:
        top["schema_version"].fail(f"this program reads version {SCHEMA_VERSION}")
    found: dict[str, Any] = {}
    if (network := top.get("network")) is not None:
        several = network.items() if isinstance(network.value, list) else [network]
        found["networks"] = tuple(each.text for each in several)
    for name in ("deployment", "journal", "snapshot"):
        if name in top:
            found[name] = path.parent / top[name].text
    if "roles" in top:
        found |= _roles(top["roles"])
    if "accounts" in top:
        entries = top["accounts"].entries().items()
        found["accounts"] = tuple(f"{name}={alias.text}" for name, alias in entries)
    if "signer" in top:
        found["signer"] = top["signer"].text
        _checked(top["signer"], check_scheme)
    if "relay" in top:
        found["relay"] = _relay(top["relay"])
    if "may_sign" in top:
        entries = top["may_sign"].entries().items()
        found["may_sign"] = {name: tuple(call.text for call in each.items()) for name, each in entries}
    for name in ("interval", "patience", "grace", "rpc_timeout", "replace_after", "stale"):
        if name in top:
            least = 10 if name in ("interval", "rpc_timeout") else 0
            found[name] = top[name].between(milliseconds, least, _MOST_TIME) / 1000
    for name, most in (("most_failures", 1_000), ("confirmations", 1_000)):
        if name in top:
            found[name] = top[name].between(units.count, name == "most_failures", most)
    if "minimum_profit" in top:
        found["minimum_profit"] = top["minimum_profit"].between(*_READERS["minimum_profit"])
    for name in ("fee_cap", "tip_cap"):
        if name in top:
            found[name] = top[name].between(units.gas_price, 1, 10**15)
    if "log" in top:
        found["log"] = top["log"].choice(LOGS)
    if "gas_token" in top:
        found["gas_token"] = top["gas_token"].text
    if "metrics" in top:
        found["metrics"] = top["metrics"].text
        _checked(top["metrics"], listening)
    if "alerts" in top:
        found["alerts"] = _alerts(top["alerts"])
    if "limits" in top:
        found["limits"] = _limits(top["limits"])
    return found


def _relay(field: Field) -> RelaySettings:
    section = field.section(("url", "roles"), ("blocks", "way"))
    _checked(section["url"], check_scheme)
    if not is_http(section["url"].text):
        section["url"].fail("a relay has an http:// or https:// address")
    found: dict[str, Any] = {"roles": tuple(each.choice(tuple(ROLES)) for each in section["roles"].items())}
    if "blocks" in section:
        found["blocks"] = section["blocks"].between(units.count, 1, 25)
    if "way" in section:
        found["way"] = section["way"].choice(WAYS)
    return RelaySettings(section["url"].text, **found)


_LIMITS: dict[str, tuple[Callable[[str], int], int, int]] = {
    **{f"gas_{window}": (partial(units.coins, "coins"), 0, 10**24) for window in ("hour", "day")},
    **{f"risk_{window}": (partial(units.coins, "tokens"), 0, 10**30) for window in ("hour", "day")},
    "deviation": (units.basis_points, 1, 100_000),
}


def _limits(field: Field) -> dict[str, Limits]:
    """Read the limits of roles."""
    found: dict[str, Limits] = {}
    for role, entry in field.entries().items():
        if role not in (*ROLES, "others"):
            entry.fail(f"there is no role {role!r}; there are {', '.join(ROLES)}, others")
        section = entry.section((), tuple(_LIMITS))
        found[role] = Limits(**{name: each.between(*_LIMITS[name]) for name, each in section.entries.items()})
    return found


def _alerts(field: Field) -> AlertSettings:
    section = field.section(("url",), ("on",))
    _checked(section["url"], webhook_host)
    if "on" not in section:
        return AlertSettings(section["url"].text)
    return AlertSettings(
        section["url"].text, tuple(each.choice(tuple(ALERTS)) for each in section["on"].items())
    )


def _checked(field: Field, check: Callable[[str], object]) -> None:
    try:
        check(field.text)
    except BackstopError as error:
        field.fail(str(error))


def milliseconds(text: str) -> int:
    """Read '250 ms', or any duration."""
    match = re.fullmatch(r"(\d[\d_]*) ?ms", text)
    return int(match[1]) if match else 1000 * units.seconds(text)


def _roles(field: Field) -> dict[str, Any]:
    """Read a list of roles, or a section with their settings."""
    if isinstance(field.value, list):
        return {"roles": tuple(each.choice((*ROLES, "all")) for each in field.items())}
    options: dict[str, Mapping[str, Option]] = {}
    strategies: dict[str, StrategySettings] = {}
    for role, entry in field.entries().items():
        if role not in ROLES:
            entry.fail(f"there is no role {role!r}; there are {', '.join(ROLES)}")
        if entry.value in ("", "null", "~"):
            continue
        section = entry.section((), _OF_ROLES.get(role, ()))
        options[role] = {
            name: _read(value, name) for name, value in section.entries.items() if name != "strategy"
        }
        if "strategy" in section:
            strategies[role] = _strategy(section["strategy"])
    return {"roles": tuple(field.entries()), "options": options, "strategies": strategies}


def _read(field: Field, name: str) -> Option:
    if name == "domain":
        return field.text
    if name in ("orders", "signs"):
        return str(field.file.parent / field.text)
    if name == "reports":
        several = field.items() if isinstance(field.value, list) else [field]
        return tuple(_place(each) for each in several)
    if name == "to":
        if not re.fullmatch(r"0x[0-9a-fA-F]{40}", field.text):
            field.fail(f"{field.text!r} is no address")
        return field.text.lower()
    return field.between(*_READERS[name])


def _place(field: Field) -> str:
    """Read an http(s):// address, or a path from the file's folder."""
    _checked(field, check_scheme)
    return field.text if is_http(field.text) else str(field.file.parent / field.text)


def _strategy(field: Field) -> StrategySettings:
    section: Section = field.section((), ("class", "command", "options", "answer_within", "otherwise"))
    if ("class" in section) == ("command" in section):
        field.fail("give either `class: module:Class` or `command: [program, argument]`")
    found: dict[str, Any] = {}
    if "class" in section:
        found["kind"] = section["class"].text
    else:
        command = tuple(each.text for each in section["command"].items())
        if not command:
            section["command"].fail("is empty")
        found["command"] = command
    if "options" in section:
        found["options"] = {name: each.text for name, each in section["options"].entries().items()}
    if "answer_within" in section:
        found["answer_within"] = section["answer_within"].between(milliseconds, 1, 60_000) / 1000
    if "otherwise" in section:
        found["otherwise"] = section["otherwise"].choice(("no bid", "built-in"))
    return StrategySettings(**found)
