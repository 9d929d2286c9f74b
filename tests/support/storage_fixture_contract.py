"""A contract with every kind of storage and argument, for the hosts."""

from __future__ import annotations

from backstop.deployment.role_accounts import get_account

SENDER = get_account("borrower")
