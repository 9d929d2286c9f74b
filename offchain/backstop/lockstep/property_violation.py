"""The error of a property that does not hold."""

from __future__ import annotations

from backstop.errors import BackstopError


class ViolationError(BackstopError):
    """Error of a violated property; `property_name` is its name, or its number as text."""

    property_name = ""

    def add_property_name(self, property_name: str) -> None:
        """Set the property's name, and add it to the error's text."""
        self.property_name = property_name
        self.args = (f"property {property_name} is violated: {self}",)
