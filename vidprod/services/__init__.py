"""The loops the daemon runs: the worker and its media children, the pruner."""
