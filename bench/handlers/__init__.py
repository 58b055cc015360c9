"""Handlers of the benchmark alone: ASYNCSERVICE_HANDLER_MODULES names this package in place of the real handlers."""
