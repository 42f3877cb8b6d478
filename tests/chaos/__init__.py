"""A real farm of real processes, among which chance kills, stops and cuts; and an audit of what is left."""
