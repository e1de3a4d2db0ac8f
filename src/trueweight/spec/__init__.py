"""What the user asks for: frozen, closed specs, and the reader that lists every mistake at once."""
