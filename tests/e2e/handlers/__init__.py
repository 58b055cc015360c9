"""Handlers of these tests: ASYNCSERVICE_HANDLER_MODULES names this package, so a host process registers them."""
