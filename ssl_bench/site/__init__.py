"""The leaderboard as a static site: made of a board's files alone, and checked against them.

Everything that a page shows comes from entries, cards, protocols, measures and
``published.csv``; neither a model nor a test set is opened for it. Pictures and sounds of the
embedded world are rendered beside the pages, and are no part of them.

Pages work from a file, make no request, and run no text that a submitter wrote: templates escape
everything, and a policy in each page forbids scripts and styles that are not files of the site.
"""
