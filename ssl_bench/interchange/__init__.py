"""What people already have, read; and what they need elsewhere, written."""
