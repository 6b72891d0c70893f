"""Bytes on their way in: a form, a raw body, and the path they share."""
