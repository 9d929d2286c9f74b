"""The commands, once: `backstop NAME` and `ape run NAME` are the same click objects."""
