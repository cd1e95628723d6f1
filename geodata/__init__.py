"""Where things are, and how long it takes to get there. Knows no unit and no incident."""
