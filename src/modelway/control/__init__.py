"""The loop that never sleeps, and the supervisor that keeps server and loop running."""
