"""Whole services in one process, several hosts each, driven through time, crashes and interleavings by a seed."""
