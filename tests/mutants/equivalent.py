"""Mutants that survive and may: changed so, the code does the same, or nothing that anybody could see."""

#: By the changed line: why no test can notice.
EQUIVALENT = {
    "job.cursor, job.loading = -2, False": "a cursor before the first task, whose number is 0, is as good as any other",
    "first = places[0] if places else 1": "where nothing has changed, what would be picked is not asked for",
    "self._count_live(*self._closed.pop(job_id, (1, 0)))": "none are counted, of whatever priority",
    "self._version = -2": "no roster has a version below 0",
    "self._left = half": "half of the budget, but for one look",
    "self._left -= 2": "what a look costs is a matter of measure",
    'return f"{value:0{before + 1 + after if before else 1}.{after}f}"': "a width of 1 is no width for what has a digit",
    "way = 1 if last > first else -1": "a range of one frame goes either way",
    "eased = reserved < worker.reserved or alone <= worker.alone": "what is tried again in vain is put aside again",
    "yield f\"{name} {'IS' if places else 'is not'} in a queue\"": "a word of a sentence for us",
    "able = ((worker.blenders, 2) for worker in workers if general_obstacle(need, paths, worker) is None)": (
        "twice as many of each series: the same has most"
    ),
    "return max((inf if each is None else each for each in after), default=1.0)": (
        "a machine where nothing runs is not kept free: the job starts there at once"
    ),
}

#: Functions that are called only while their module is read, to make its tables. mutmut changes what is called after that, so
#: that no test can notice; the tables themselves have tests.
WHILE_READ = {
    "brender.model.rights.x__entry",
    "brender.model.rights.x__about_jobs",
    "brender.model.rights.x__about_nodes",
    "brender.model.rights.x__of_nodes",
}
