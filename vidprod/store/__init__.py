"""Rows at rest: what must survive the machine. `sqlite` keeps them; `feed` tells who listens what was committed."""
