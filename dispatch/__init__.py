"""Who goes, when, and what happened."""
