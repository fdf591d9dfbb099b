"""For all tests."""

from hypothesis import settings

settings.register_profile("at any speed", deadline=None)  # a busy machine is no fault of what is tested
settings.register_profile("the same each time", deadline=None, derandomize=True)  # CI: a commit passes or not, never by luck
settings.load_profile("at any speed")
