"""Runners: they fit the models of an experiment and yield one record a run."""
