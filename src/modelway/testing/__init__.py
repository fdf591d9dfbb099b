"""Shipped checks: what every adapter of a port must keep, a clock set by hand, and faults on purpose."""
