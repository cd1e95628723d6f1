"""Recorded incidents: read from what a command centre exports, replayed, and a demand fitted to them."""
