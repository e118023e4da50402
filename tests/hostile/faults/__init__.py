"""Faults of upstreams: what a scripted one does, and what a client sees of it."""
