"""Shared parts of the integration tests and the demo: real servers, the proxy, live clients."""
