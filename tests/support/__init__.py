"""Helpers of the tests: processes to kill, projects to run."""
