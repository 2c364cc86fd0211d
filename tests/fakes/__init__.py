"""Fakes, each believed only because it passes its port's contract suite."""
