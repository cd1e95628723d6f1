"""What a planner works out without a simulation."""
