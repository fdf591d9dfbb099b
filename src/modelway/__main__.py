"""`python -m modelway` is the command `modelway`."""

from modelway.cli.app import main

if __name__ == "__main__":
    main()
