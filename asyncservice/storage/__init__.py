"""What the service keeps things in: tables, queues and blobs, each behind one narrow port with two adapters.

The lowest room: it knows rows, messages and bytes, and nothing of operations. `asyncservice.storage.azure` talks to
Azure Storage (or Azurite), `asyncservice.storage.memory` is the strict stand-in that tests stage failures with.
"""
