"""What the commands do, as Python functions: paths as text or objects, typed results."""
