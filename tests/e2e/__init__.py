"""The whole app, driven as its users drive it: real hosts, a real emulator, queues, tables and signals."""
