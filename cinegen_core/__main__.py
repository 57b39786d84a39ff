"""`python -m cinegen_core` is `cinegen`."""

from cinegen_core.cli import main

main()
