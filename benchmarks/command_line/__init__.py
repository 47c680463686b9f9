"""The command line: its options, and what one command does."""
