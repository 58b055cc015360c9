"""Celery, measured beside us: on Azure Storage, as its users run it there, and on Redis.

Its settings are the kind ones: late acknowledgement, as whoever must not lose tasks has it; no remote control, gossip,
mingling or heartbeats, which only cost requests. Tasks are sent one after the other by `delay` and every result is
waited for by `get`.
"""
