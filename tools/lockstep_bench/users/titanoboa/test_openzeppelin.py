"""OpenZeppelin's vault, by its ABI and its creation code."""

import json
from pathlib import Path

import boa
from eth_abi import encode
from vault_machine import VaultMachine


def load_contract(name):
    found = json.loads(Path(f"artifacts/{name}.json").read_text())
    return boa.loads_abi(json.dumps(found["abi"]), name=name), bytes.fromhex(found["bytecode"]["object"][2:])


(ASSET, ASSET_CODE), (VAULT, VAULT_CODE) = load_contract("Asset"), load_contract("Vault")


class OpenZeppelinMachine(VaultMachine):
    def deploy(self):
        asset, _ = boa.env.deploy_code(bytecode=ASSET_CODE)
        vault, _ = boa.env.deploy_code(bytecode=VAULT_CODE + encode(["address"], [str(asset)]))
        return ASSET.at(asset), VAULT.at(vault)

    def reverts(self, failure):
        return boa.reverts()  # of a contract that titanoboa did not compile it has no reason to compare

    def check_event(self, name, **values):
        event = self.vault.get_logs()[-1]
        assert type(event).__name__ == name
        assert list(event[1:]) == list(values.values())


TestVault = OpenZeppelinMachine.TestCase
