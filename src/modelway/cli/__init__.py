"""The command line: one thin module per group; each command parses, calls the lifecycle and prints."""
