"""`python -m modelway` is the command `modelway`."""

from modelway.cli.main import main

if __name__ == "__main__":
    main()
