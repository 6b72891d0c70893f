"""VidProd: a take goes in, finished vertical segments come out."""

__version__ = "0.1.0"
