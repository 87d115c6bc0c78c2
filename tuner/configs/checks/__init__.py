"""Everything that can be wrong with a study, said at submission and all at once."""

from tuner.configs.checks.study import check, parse, problems

__all__ = ["check", "parse", "problems"]
