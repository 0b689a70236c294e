"""Tables of papers run again, beside what the papers print."""
