"""What differs between Linux, macOS and Windows: one name for each thing, which the rest of the code calls.

Trees of processes, restarting, private files, removal, clock, limit of open files. Nothing of a farm is known here.
"""
