"""Reports: self-contained HTML pages, and the tables that commands print."""
