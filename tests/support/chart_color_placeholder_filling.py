"""Figures of charts with their colours filled in, as plotly's own schema wants them."""

from __future__ import annotations

import json
import re
from typing import Any

COLOR = re.compile(r"@[a-z_]+(:[0-9a-f]{2})?")


def replace_colors_with_fixed_hex(figure: dict[str, Any]) -> dict[str, Any]:
    """Replace every colour of the page's style by one that plotly knows."""
    found: dict[str, Any] = json.loads(COLOR.sub("#123456", json.dumps(figure)))
    return found
