"""Put a banner on any page, follow every interaction with it live, and keep each one exactly once."""

__version__ = "0.1.0"
