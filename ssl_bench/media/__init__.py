"""Images and sounds: the value types, and reading them from files."""
