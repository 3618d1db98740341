"""Small values that both processes read; the standard library is all they need."""
