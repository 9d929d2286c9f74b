"""A deployment: its parameters, its contracts in creation order, its configuration, its file.

Every address is known before anything is deployed (CREATE from one account, in a fixed order), so the
contracts know each other from their constructors and nothing is wired later. The same creations and
the same configuration go to the model and to a chain.
"""
