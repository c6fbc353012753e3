"""The command `ferpipe`, of this checkout."""

from ferpipe.tools.cli import main

if __name__ == "__main__":
    main()
