"""Deleveraging: a crash of a margin market, and the calls, gas and losses under each policy."""
