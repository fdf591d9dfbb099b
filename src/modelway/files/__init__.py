"""Data files that people bring: CSV, Parquet, NDJSON to frames, and frames to CSV."""
