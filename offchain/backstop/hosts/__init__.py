"""The compiled contracts on a chain: compiling, codecs, storage layout, and the two hosts."""
