"""For all tests."""

from hypothesis import settings

settings.register_profile("at any speed", deadline=None)  # a busy machine is no fault of what is tested
# CI: a commit passes or not, and never by luck
settings.register_profile("the same each time", deadline=None, derandomize=True)
settings.load_profile("at any speed")
