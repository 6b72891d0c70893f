"""HTTP: the page, uploads, jobs, segments, events, health. Only this room knows Litestar, Granian and multipart."""
