"""The exact reference model of the contracts: standard library only, to be read as the specification."""
