"""A failure that the fuzzer found; here the model was wrong.

VaultEngine reason: model AttributeError('decimals'), chain ''
"""

from tests.support.revert_setter_and_source_helpers import reverts


def test_vault_engine_add_collateral_type_of_no_token(new_protocol):
    protocol = new_protocol()
    with reverts(""):
        protocol.do("VaultEngine.add_collateral_type", "LossWaterfall", 14_500, 15_000, sender="admin")
