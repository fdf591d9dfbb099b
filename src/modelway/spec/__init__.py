"""What a user writes: modelway.yaml (one model) and stack.yaml (which engine stands behind each port)."""
