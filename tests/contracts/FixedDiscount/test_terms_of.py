"""terms_of: a type's terms as they were set."""

import dataclasses

from tests.support.discount_steps import TO_TARGET, WETH
from tests.support.revert_setter_and_source_helpers import reverts


def test_the_terms_of_the_deployment(discounted):
    assert tuple(discounted.read("FixedDiscount.terms_of", WETH)) == dataclasses.astuple(TO_TARGET)
    assert discounted.read("FixedDiscount.VAULT_ENGINE") == discounted.address("VaultEngine")


def test_a_type_without_any(discounted):
    with reverts("fixed_discount: no terms"):
        discounted.read("FixedDiscount.terms_of", 2)
