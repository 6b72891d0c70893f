"""What the things are, and what is decided about them. No I/O in this room."""
