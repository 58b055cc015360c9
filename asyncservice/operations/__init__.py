"""The AsyncOperation: its record, states, recurrence, store, queues, engine and agenda. Knows no other room but storage."""
