"""The life of an attempt: begun, watched, stopped, ended. One object owns it, its threads and its process.

Whatever happens in it, its last event is an `Ended`, exactly one. An engine may wait for a drive that never answers, and a thread
that does so cannot be ended: it is left behind then, unheard, and ends when the drive answers. So an attempt that is stopped has
ended within `STOP_SECONDS`, and one whose folder is silent, while nothing moves, within `SILENCE_SECONDS` and these.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from brender.engines.attempt import Attempt, AttemptFailed, AttemptStopped, Engine, FolderRefused
from brender.engines.disk_space import FORBIDDEN, FULL, NO_ANSWER, NO_ROOM, no_answer, shortage
from brender.engines.events import AttemptEvent, Ended, Pictured
from brender.engines.process import STOP_SECONDS as PROCESS_SECONDS
from brender.engines.process import Supervised
from brender.model.causes import Cause
from brender.model.failure_patterns import Follows
from brender.system.removal import remove_tree

#: Seconds that an engine has to end its attempt, once it is stopped, before it is left behind.
_ENGINE_SECONDS = 10.0
#: Seconds within which an attempt that is stopped has ended.
STOP_SECONDS = _ENGINE_SECONDS + PROCESS_SECONDS + 2.0
#: Seconds that a folder of a running attempt may be silent, and the attempt without a sign of progress, before it is put off.
SILENCE_SECONDS = 60.0
#: Seconds without a sign of progress after which its folders are looked at.
_LOOK_AFTER_SECONDS = 5.0
log = logging.getLogger("brender.worker")


class Life:
    """The one life of *attempt*, run by *engine*. All methods may be called from any thread, and none but `join` and `close`
    waits. *silence*: seconds, in place of `SILENCE_SECONDS`."""

    def __init__(
        self,
        attempt: Attempt,
        engine: Engine,
        silence: float = SILENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.attempt = attempt
        self._engine = engine
        self._silence = silence
        self._clock = clock
        self._hear = attempt.emit
        attempt.emit = self._tell
        self._lock = threading.Lock()
        """Held for a moment only: stopping needs it."""
        self._over = self._left_behind = False
        self._ended = threading.Event()
        """It is over, and that was heard."""
        self._began = self._sign = clock()
        self._stopped: float | None = None
        self._why = ""
        self._last: AttemptEvent | None = None

    def begin(self) -> None:
        """Run the engine, in a thread of its own."""
        self._thread(self._run, f"attempt-{self.attempt.grant.attempt}")

    def stop(self, reason: str = "") -> None:
        """End it within `STOP_SECONDS`."""
        if reason and reason != self._why:  # it is asked for again until it is heard to have ended
            self._why = reason
            self.attempt.log.say(f"stopping: {reason}")
        with self._lock:
            if self._stopped is None:
                self._stopped = self._clock()
        self.attempt.stop()

    def look(self) -> None:
        """See that it can end: what does not end in its time is left behind. To be called every few seconds."""
        now = self._clock()
        if self._over:
            return
        if self._stopped is not None:
            if now - self._stopped > _ENGINE_SECONDS:
                self._leave_behind("")
            return
        still = now - self._sign
        if still < _LOOK_AFTER_SECONDS:
            return
        looks = self.attempt.place.looks
        for folder in self.attempt.folders:
            looks.begin(folder)
            if min(still, looks.silent_for(folder)) > self._silence:
                self._leave_behind(no_answer(folder))
                return

    def join(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, at most *seconds*; whether it has."""
        return self._ended.wait(seconds)

    def close(self) -> None:
        """Stop it, and wait until that is done: its process is gone then, as far as this machine can end it."""
        self.stop()
        if not self.join(_ENGINE_SECONDS):
            self._leave_behind("")
            self.join(PROCESS_SECONDS + 2.0)

    @property
    def process(self) -> Supervised | None:
        """What renders now, if anything does."""
        return self.attempt.process

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _tell(self, event: AttemptEvent) -> None:
        """Let the worker hear *event*, unless this life is over: what was left behind is not heard any more."""
        if self._over and not isinstance(event, Pictured):
            return
        if event != self._last:
            self._last, self._sign = event, self._clock()
        self._hear(event)

    def _run(self) -> None:
        try:
            ended = self._its_end()
        except BaseException as error:
            # Whatever goes wrong in finding out what went wrong: the worker waits for an end.
            log.exception("the attempt %s failed in brender itself", self.attempt.grant.attempt)
            ended = Ended(0.0, f"brender itself failed: {type(error).__name__}: {error}")
        self._end(ended)

    def _its_end(self) -> Ended:
        """Do the attempt; return how it ended."""
        attempt, ended, is_clean = self.attempt, Ended(0.0), False
        try:
            try:
                attempt.folder.mkdir(parents=True, exist_ok=True)
                ended = self._judged(ended)
                if not ended.reason:
                    self._engine.run(attempt)
                is_clean = True
            finally:
                if attempt.process is not None:
                    attempt.process.stop()
                remove_tree(attempt.folder)
                attempt.leftovers.end(is_clean)
                if not is_clean:
                    attempt.place.left_behind()
        except AttemptStopped:
            ended = Ended(0.0, "stopped", stopped=True)
        except FolderRefused as error:
            ended = Ended(0.0, str(error), put_off=True)  # a worker that allows the folder takes the job, or it waits for one
        except AttemptFailed as error:
            ended = self._judged(self._of_failure(error))
        except OSError as error:
            ended = self._of_error(error)
        except BaseException as error:
            log.exception("the attempt %s failed in brender itself", attempt.grant.attempt)
            ended = self._judged(Ended(0.0, f"brender itself failed: {type(error).__name__}: {error}"))
        if self._stopped is not None:
            ended = replace(ended, stopped=bool(ended.reason), put_off=False, shortage="")
        return ended

    def _of_failure(self, error: AttemptFailed) -> Ended:
        """Return the end by *error*, and by what the output says of it."""
        ended = Ended(
            0.0, str(error), error.permanent, out_of_memory=error.out_of_memory, forbidden=error.forbidden, cause=error.cause
        )
        told, follows = self.attempt.telling_line(), error.follows
        if told is not None and follows is None and not error.permanent:
            is_quoted = error.cause is Cause.DEVICE
            reason = ended.reason if is_quoted else f"{ended.reason}. {told.said}"
            cause = told.pattern.cause if error.cause is Cause.OTHER else error.cause
            ended, follows = replace(ended, reason=reason, cause=cause), told.pattern.follows
        if follows is Follows.FAIL:
            return replace(ended, permanent=True)
        return replace(ended, put_off=follows is Follows.LATER, elsewhere=follows is Follows.ELSEWHERE)

    def _of_error(self, error: OSError) -> Ended:
        """Return the end by an *error* of the system."""
        reason = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        ended = self._judged(Ended(0.0, reason))
        if ended.shortage or ended.put_off:
            return ended
        own = self.attempt.place.folder
        if error.errno in NO_ROOM:
            of_worker = str(error.filename or "").startswith(str(own)) or shortage([own], FULL)
            return replace(ended, shortage=reason) if of_worker else replace(ended, put_off=True)
        return replace(ended, put_off=error.errno in NO_ANSWER, forbidden=error.errno in FORBIDDEN)

    def _judged(self, ended: Ended) -> Ended:
        """Return *ended*; where there is no room on a disk, or no answer from a drive, that it ended for this: no fault of
        its own."""
        place = self.attempt.place
        if ended.permanent or self._stopped is not None:
            return ended
        if missing := shortage([place.folder], place.least_free):
            return replace(ended, reason=missing, shortage=missing)
        written = self.attempt.written
        read = [folder for folder in self.attempt.folders if folder not in written]
        if problem := place.looks.problem(written, place.least_free) or place.looks.problem(read, 0):
            return replace(ended, reason=problem, put_off=True)
        return ended

    def _end(self, ended: Ended) -> None:
        """Say how it ended, once."""
        with self._lock:
            if self._over:
                return
            self._over = True
        attempt = self.attempt
        try:
            attempt.log.say(f"ended: {ended.reason or 'completed'}")
            attempt.log.close()
        finally:
            self._hear(replace(ended, seconds=self._clock() - self._began))
            self._ended.set()

    def _leave_behind(self, why: str) -> None:
        """Kill the process, and end without the engine, which hangs. *why*: as a sentence, or "" if it was stopped."""
        with self._lock:
            if self._left_behind:
                return
            self._left_behind = True
        self._thread(lambda: self._end_without_engine(why), f"leaving-{self.attempt.grant.attempt}")

    def _end_without_engine(self, why: str) -> None:
        attempt = self.attempt
        attempt.stop()
        try:
            if attempt.process is not None:
                attempt.process.stop()
        except Exception:
            log.exception("the process of attempt %s could not be ended", attempt.grant.attempt)
        silent = next((no_answer(folder) for folder in attempt.folders if attempt.place.looks.silent_for(folder) > 0), "")
        attempt.log.say(f"{why or silent or 'the attempt did not end in time'}; its processes that hang there are left behind")
        self._end(Ended(0.0, why or silent or "stopped", stopped=not why, put_off=bool(why)))

    def _thread(self, work: Callable[[], None], name: str) -> None:
        try:
            threading.Thread(target=work, name=name, daemon=True).start()
        except RuntimeError as error:
            self._end(Ended(0.0, f"This machine has no thread for it now: {error}"))


def begin(attempt: Attempt, engine: Engine) -> Life:
    """Run *attempt* in *engine*; returns its life."""
    life = Life(attempt, engine)
    life.begin()
    return life
