"""`python -m backstop.cli`."""

from backstop.cli.main import main

main()
