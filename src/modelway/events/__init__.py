"""The event log: every source row, prediction and label is first an event here."""
