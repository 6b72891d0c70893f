"""The platforms: one file each behind the protocol of `base`, and simulators that speak their APIs."""
