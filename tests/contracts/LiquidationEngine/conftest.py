"""Ether and bitcoin sold at a discount; a buyer has stablecoin, a borrower 10 ether and a debt of 12,000."""

from tests.contracts.FixedDiscount.conftest import discounted

__all__ = ["discounted"]
