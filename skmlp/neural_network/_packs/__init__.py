"""Many fits at once: which of them train together as a pack, and how many."""
