"""Pictures and sound: PyAV, and nothing else that knows it."""
