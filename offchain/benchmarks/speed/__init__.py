"""Speed of the fuzz campaign, vault index, live keeper and stress studies, against the usual ways."""
