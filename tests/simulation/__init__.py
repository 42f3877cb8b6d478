"""The whole farm in a simulated world: the real cores and the real record, one virtual clock, one seed that decides
every delay, loss, duplicate and crash, and replays it."""
