"""Liquidations of other systems, exact to the unit: amounts moved, refusals, and remainders.

Each module has one peer's rules as pure functions over integers, one for each group of vectors that was
measured on the peer's own contracts. `vector_replay.replay_vector_group` runs cases of a group, from any
file, and lists the differences. See docs/reference/peer-liquidations.md.
"""
