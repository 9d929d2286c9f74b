"""Current terms of the risk policy, with the fallbacks of contracts if it fails (`model.asking`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from backstop.keepers.view_records import Tables
from backstop.model import bounds, interfaces, risk_policy
from backstop.model.arithmetic import BASIS_POINTS
from backstop.system import Snapshot

_NONE: Tables = {"terms": {}, "calls": {}, "modes": {}}


class PolicyInForce(NamedTuple):
    """Risk policy in force: values for all types, and the policy's tables of values by type."""

    mode: int
    auction_limit_factor: int  # basis points
    brackets: risk_policy.Terms
    calls: interfaces.CallTerms
    tables: Tables

    def get_margin_brackets(self, collateral_type: int) -> risk_policy.Terms:
        """Return the brackets by which a type's required margin grows with the size of a debt."""
        found: risk_policy.Terms = self.tables["terms"].get(collateral_type, self.brackets)
        return found

    def get_call_terms(self, collateral_type: int) -> interfaces.CallTerms:
        """Return a type's terms of margin calls; a ratio of 0 means that there are no margin calls."""
        found: interfaces.CallTerms = self.tables["calls"].get(collateral_type, self.calls)
        return found


def read_policy_in_force(snapshot: Snapshot, addresses: Mapping[str, str]) -> PolicyInForce:
    """Return the risk policy at the address that the vault engine stores.

    Without a policy the result has normal mode and no extra requirements.
    """
    at = snapshot["VaultEngine"]["terms.risk_policy"].get((), "")
    tables: Tables = next((snapshot[name] for name in snapshot if addresses.get(name) == at), _NONE)
    if "add_on_rate" in tables:
        return _read_scripted_policy(tables)
    modes: risk_policy.Modes = tables["modes"].get((), risk_policy.Modes())
    factor = modes.emergency_factor if modes.mode == interfaces.EMERGENCY else BASIS_POINTS
    return PolicyInForce(modes.mode, factor, risk_policy.Terms(), interfaces.CallTerms(), tables)


def _read_scripted_policy(tables: Tables) -> PolicyInForce:
    """Return the values of a scripted test policy, with the contracts' fallbacks for invalid ones."""
    factor, rate, ratio, grace, valid, fails = (
        int(tables[name].get((), 0))
        for name in ("factor", "add_on_rate", "call_ratio", "call_grace", "call_valid", "failing")
    )
    if fails or not bounds.MIN_LIMITS_FACTOR <= factor <= bounds.MAX_LIMITS_FACTOR:
        factor = BASIS_POINTS
    in_time = all(bounds.MIN_CALL_TIME <= time <= bounds.MAX_CALL_TIME for time in (grace, valid))
    calls = interfaces.CallTerms(ratio, grace, valid) if in_time and not fails else interfaces.CallTerms()
    asked = risk_policy.Terms(vault_rate_1=0 if fails or rate > bounds.MAX_ADD_ON else rate)
    return PolicyInForce(interfaces.NORMAL, factor, asked, calls, _NONE)
