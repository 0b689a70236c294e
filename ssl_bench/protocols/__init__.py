"""What is measured: protocol files, dialects, suites and their conventions."""
