"""Faces: found, followed, and what is done for them. MediaPipe and OpenCV are known here only."""
