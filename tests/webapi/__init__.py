"""The Web API, asked directly and over HTTP."""
