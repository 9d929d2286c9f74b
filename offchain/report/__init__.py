"""Reports: one self-contained HTML page from a run directory."""

from offchain.report.run_page import write_page, write_report

__all__ = ["write_page", "write_report"]
