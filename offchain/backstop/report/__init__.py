"""Reports: one self-contained HTML page from a run directory."""
