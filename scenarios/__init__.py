"""What a planner asks, and what a planner sees."""
