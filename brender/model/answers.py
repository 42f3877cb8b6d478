"""How much one answer of the server holds at most. Commands need it too, and do not import the store for it."""

#: Rows that one answer holds at most; lists that may be longer are read page by page.
PAGE = 10_000
#: Bytes of a log that one answer holds at most.
LOG_TAIL = 256 * 1024

#: The questions that the scheduler itself answers, each by an ``id``: why a worker renders nothing, and why the queued tasks of a
#: job wait, though others of it may run.
WHY_WORKER, WHY_QUEUED = OF_THE_SCHEDULER = ("why_worker", "why_queued")
