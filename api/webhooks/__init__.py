"""Webhooks: other services are told of events as they happen."""
