"""A farm from Python, and what the command line is made on: `Farm` and `AsyncFarm`, and the ways to a farm below them.

Nothing here prints: what is to be known meanwhile goes to functions that are given. Names are taken from `brender` itself.
"""
