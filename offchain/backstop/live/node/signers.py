"""Signers: the accounts that every local node knows, Ape's keystores, and a signer in another process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from backstop.deployment.devnet_trader_signatures import devnet_account
from backstop.deployment.role_accounts import ACCOUNTS
from backstop.errors import BackstopError
from backstop.live.node.remote_signer import RemoteSigner
from backstop.live.node.signable_call_allowlist import CallAllowlist


class Signers:
    """Signing keys by lower-case address: test accounts, keystores of Ape, and a remote signer's accounts.

    The keys of test accounts are derived when first needed. With an allow-list in `allowed`, no other call is
    signed.
    """

    def __init__(self, *, test_accounts: bool, remote: RemoteSigner | None = None) -> None:
        self.allowed: CallAllowlist | None = None
        self._remote = remote
        self._keys: dict[str, LocalAccount] = {}
        self._places: dict[str, int] = {}
        if test_accounts:
            self._places = {address: i for i, address in enumerate(ACCOUNTS.values())}

    def unlock_ape_keystore_and_get_address(self, alias: str) -> str:
        """Unlock the keystore of one of Ape's accounts, add its key and return its address."""
        key = _unlock_keystore_account(alias)
        address = str(key.address).lower()
        self._keys[address] = key
        return address

    def add_account(self, account: LocalAccount) -> None:
        """Add the key of an eth-account object."""
        self._keys[account.address.lower()] = account

    def can_sign(self, address: str) -> bool:
        """Return whether there is a key for this address, here or at the remote signer."""
        return address in self._keys or address in self._places or self._is_remote(address)

    def _is_remote(self, address: str) -> bool:
        return self._remote is not None and address in self._remote.accounts

    def prepare_key(self, address: str) -> None:
        """Derive the key of a test account now, since that takes longer than signing."""
        if address not in self._keys and not self._is_remote(address):
            self._keys[address] = devnet_account(self._places[address])

    def sign_transaction(self, address: str, transaction: dict[str, Any]) -> str:
        """Return the signed raw transaction as hex.

        Raise CallNotAllowedError if the allow-list forbids it, and SignerUnavailableError if the remote
        signer fails.
        """
        if self.allowed is not None:
            self.allowed.check_call(address, transaction)
        if self._remote is not None and self._is_remote(address):
            return self._remote.sign_transaction(address, transaction)
        self.prepare_key(address)
        # The account itself would work out its public key anew each time, which takes as long as signing.
        signed = Account.sign_transaction(transaction, self._keys[address]._key_obj)
        return "0x" + bytes(signed.raw_transaction).hex()

    def sign_digest(self, address: str, digest: bytes) -> bytes:
        """Return a 65-byte signature of a digest: r, low s, v (27 or 28).

        Raise BackstopError for an account of the remote signer, which signs transactions only.
        """
        if self._is_remote(address):
            raise BackstopError(f"a signer in another process signs transactions only: {address} is its own")
        self.prepare_key(address)
        signed: Any = self._keys[address]
        return bytes(signed.unsafe_sign_hash(digest).signature)


def keystore_key(alias: str) -> bytes:
    """Return the private key of one of Ape's accounts, unlocked by its passphrase."""
    return bytes(_unlock_keystore_account(alias).key)


def _unlock_keystore_account(alias: str) -> LocalAccount:
    folder = Path(os.environ.get("APE_DATA_FOLDER") or Path.home() / ".ape") / "accounts"
    path = folder / f"{alias}.json"
    variable = f"APE_ACCOUNTS_{alias}_PASSPHRASE"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json"))) or "none"
        raise BackstopError(
            f"Ape has no account {alias!r}; it has: {known} (`ape accounts import`)"
        ) from None
    except (OSError, ValueError) as error:
        raise BackstopError(f"the keystore {path} cannot be read: {error}") from None
    where, passphrase = _find_passphrase_and_source(alias, variable)
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(content, passphrase))
    except (ValueError, KeyError, TypeError, NotImplementedError):  # the last: a keystore of unknown kind
        raise BackstopError(f"the passphrase in {where} does not open the account {alias!r}") from None
    return account


def _find_passphrase_and_source(alias: str, environment_variable: str) -> tuple[str, str]:
    """Return where an account's passphrase was found, and the passphrase.

    A file named by the variable with the ending _FILE comes first, then the variable itself.
    """
    file = os.environ.get(f"{environment_variable}_FILE")
    if file:
        try:
            return file, Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise BackstopError(f"the passphrase of {alias!r} cannot be read from {file}: {why}") from None
    if environment_variable not in os.environ:
        raise BackstopError(
            f"the account {alias!r} is locked: put its passphrase into {environment_variable}, or "
            "into a file named by "
            f"{environment_variable}_FILE"
        )
    return environment_variable, os.environ[environment_variable]


def parse_accounts(values: tuple[str, ...], signers: Signers) -> dict[str, str]:
    """Return addresses by role from options `ROLE=ALIAS` or `ROLE=0xADDRESS`; unlock the aliases.

    Raise BackstopError for any other form.
    """
    found: dict[str, str] = {}
    for value in values:
        role, mark, who = value.partition("=")
        if not mark or not role or not who:
            raise BackstopError(f"--account {value!r}: write ROLE=ALIAS or ROLE=0xADDRESS")
        if who.startswith("0x"):
            try:
                fits = len(bytes.fromhex(who[2:])) == 20
            except ValueError:
                fits = False
            if not fits:
                raise BackstopError(f"--account {value!r}: {who} is not an address")
            found[role] = who.lower()
        else:
            found[role] = signers.unlock_ape_keystore_and_get_address(who)
    return found
