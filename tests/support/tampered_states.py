"""States that a property is asked about."""

from __future__ import annotations


def build_value_tampering(contract, path, field=None, increment=1):
    """Change one value of a table that is not zero."""

    def tamper(tables):
        table = tables[contract][path]
        key = next(key for key, value in table.items() if (getattr(value, field) if field else value))
        old = table[key]
        table[key] = old._replace(**{field: getattr(old, field) + increment}) if field else old + increment

    return tamper
