"""The real-time channel: an ASGI application over a durable log. It knows nothing of Django."""
