"""A page on which clips are annotated, and a test set out of what it saves."""
