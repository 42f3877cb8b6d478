"""How much one answer of the server holds at most. Commands need it too, and do not import the store for it."""

#: Rows that one answer holds at most; lists that may be longer are read page by page.
PAGE = 10_000
#: Bytes of a log that one answer holds at most.
LOG_TAIL = 256 * 1024

#: The question why a worker renders nothing, by its ``id``: the only one that the scheduler itself answers.
WHY_WORKER = "why_worker"
