"""A hunt for profit: what can a few accounts gain, by acting together, that others lose?"""
