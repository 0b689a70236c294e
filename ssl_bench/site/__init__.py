"""The leaderboard as a static site, built from a board that was read whole.

Pages work from a file, make no request, and run no text that a submitter wrote: templates escape
everything, and a policy in each page forbids scripts and styles that are not files of the site.
"""
