"""Mutants that survive and may: changed so, the code does the same, or nothing that anybody could see."""

#: By the changed line: why no test can notice.
EQUIVALENT = {
    "job.cursor, job.loading = -2, False": "a cursor before the first task, whose number is 0, is as good as any other",
}
