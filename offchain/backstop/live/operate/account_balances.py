"""The means of accounts: coins for gas, and the tokens that keepers pay with and earn."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from backstop.live.monitor.status_facts_and_board import COIN
from backstop.live.operate.live_system import LiveSystem


class AccountBalances:
    """Balances of some accounts: the chain's coin, and the tokens that keepers pay with and earn.

    Coin balances are those of the last `refresh_coins`. Token balances are those of the model at the followed
    block.
    """

    def __init__(self, system: LiveSystem, accounts: Iterable[str]) -> None:
        self._system = system
        self._accounts = list(accounts)
        self._coins: dict[str, int] = {}

    def refresh_coins(self) -> None:
        """Read the coin balance of each account at the newest block from the node, in one batch [wei]."""
        if self._accounts:
            asked = [(each, "latest") for each in self._accounts]
            held = self._system.node.client.call_method_in_batches("eth_getBalance", asked)
            self._coins = {each: int(wei, 16) for each, wei in zip(self._accounts, held, strict=True)}

    def build_amounts_by_account_token(self) -> dict[tuple[str, str], int]:
        """Return the balance of each account in each token, keyed by (account, token).

        Coin balances are in wei and date from the last `refresh_coins`. Token balances are converted to wad.
        """
        found = {(each, COIN): wei for each, wei in self._coins.items()}
        for token, unit in self._build_wad_unit_by_token().items():
            balance = partial(self._system.mirror.model.view, token, "balanceOf")
            found |= {(each, token): balance(each) * unit for each in self._accounts}
        return found

    def _build_wad_unit_by_token(self) -> dict[str, int]:
        """Return, for each token's name, the factor that converts its smallest unit to wad.

        The tokens are the stablecoin, each collateral token and, if the deployment has it, the equity token.
        """
        contracts = self._system.mirror.model.world.contracts
        terms = contracts["VaultEngine"].tables["terms.of_types"]
        symbols = [each.symbol for each in self._system.deployment.parameters.collateral_types]
        units = {"Stablecoin": 1, **{symbol: terms[c].unit for c, symbol in enumerate(symbols)}}
        return units | ({"Equity": 1} if "Equity" in contracts else {})
