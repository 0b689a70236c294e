"""Test sets that one file describes: those of a user, of other packages, and most built-in ones."""
