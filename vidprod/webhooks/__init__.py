"""Webhooks: signing, what may be dialled, sending."""
