"""The provider's state."""
