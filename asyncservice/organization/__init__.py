"""The organization: the records that operations act on, their schema, and what can be done with many of them at once.

Knows `asyncservice.storage` and `asyncservice.operations`; knows no handler. An entity is one JSON file in
`schema/definitions`, a record is a row of that entity's table, and every write passes through `Records`.
"""
