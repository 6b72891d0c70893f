"""Logs and numbers: what the daemon says about itself. Only this room knows structlog and prometheus_client."""
