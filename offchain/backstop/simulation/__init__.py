"""One run of one scenario: its file, its day block by block, what is recorded of it."""
