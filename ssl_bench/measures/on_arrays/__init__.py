"""One function for each measure, on arrays of maps and truths."""
