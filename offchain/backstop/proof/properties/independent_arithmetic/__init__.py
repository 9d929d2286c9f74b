"""Amounts and prices out of tables alone, as properties work them out: none asks a rule of the model."""
