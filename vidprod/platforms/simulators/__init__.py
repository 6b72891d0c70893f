"""The far ends, simulated: each enforces what the real one enforces, keeps state, and fails on request."""
