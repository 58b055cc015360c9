"""The AsyncOperation: record, states, recurrence, store, queues, engine, agenda. Knows no other room but storage."""
