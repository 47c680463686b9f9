"""Plain data that define an experiment; nothing heavy is imported."""
