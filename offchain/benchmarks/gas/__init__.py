"""Gas: each job of the protocol as transactions on Anvil, against the same job on dss."""
