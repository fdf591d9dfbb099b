"""The installed command, as its users type it."""
