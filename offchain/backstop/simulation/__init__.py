"""One run of one scenario: its file, its day block by block, and the records of the run."""
