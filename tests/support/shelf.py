"""A contract with every kind of storage and argument, for the hosts."""

from __future__ import annotations

from backstop.deployment.accounts import account

SENDER = account("borrower")
