"""Liquidations of other systems, exact to the unit: what a call moves, what it refuses, what it leaves.

Each module has one peer's rules as pure functions over integers, one for each group of vectors that was
measured on the peer's own contracts. `vector_replay.replay_vector_group` runs cases of a group, from any
file, and lists what differs. See docs/know/peer-liquidations.md.
"""
