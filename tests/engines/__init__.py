"""On real engines: `make engines` starts them."""
