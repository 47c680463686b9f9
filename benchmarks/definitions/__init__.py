"""Plain data that define an experiment. Nothing heavy is imported here."""
