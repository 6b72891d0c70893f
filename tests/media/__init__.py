"""The judge of finished media: a validator, synthetic sources whose truth is known, and readers of that truth."""
