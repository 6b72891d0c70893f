"""The media child: decodes, decides and encodes in a process of its own. Started, never imported by the daemon."""
