"""Bytes at rest: sources on their way in, sources, finished segments, the media child's work directories."""
