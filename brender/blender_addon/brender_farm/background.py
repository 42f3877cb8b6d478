"""Work beside Blender: an operator that starts it in a thread, listens to it by a timer, and ends with Blender's own report."""

import threading

import bpy

from . import state
from .client import Canceled, FarmError

_LOOK_SECONDS = 0.2
_END_SECONDS = 2.0


def end():
    """End what goes on: the add-on is taken away, and with it the operator that waits for it."""
    if state.work is not None:
        state.work.interrupt()
        state.work.wait(_END_SECONDS)
        state.work = None
    for work in list(state.timers):
        _remove_timer(work)


def _remove_timer(work):
    timer = state.timers.pop(work, None)
    if timer is not None:
        bpy.context.window_manager.event_timer_remove(timer)


class Work:
    """*doing*, in a thread: a function of *say*, which takes the words that the panel shows. ``result`` or ``error`` is there
    once it is not `going`."""

    def __init__(self, farm, doing):
        self.farm = farm
        self.words = ""
        self.result = self.error = None
        self._doing = doing
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def going(self):
        return self._thread.is_alive()

    def stop(self):
        self.farm.stop()

    def interrupt(self):
        """Stop it because Blender or the add-on ends, and not because the artist wants it."""
        self.farm.is_interrupted = True
        self.farm.stop()

    def wait(self, seconds=None):
        self._thread.join(seconds)

    def _say(self, words):
        self.words = words

    def _run(self):
        try:
            self.result = self._doing(self._say)
        except FarmError as error:
            self.error = error
        except Exception as error:  # whatever it is, the artist hears of it, and Blender goes on
            self.error = FarmError(f"The add-on made a mistake, and nothing is submitted: {type(error).__name__}: {error}")


class Working:
    """What operators that ask the farm are made of. `prepare` is called first, in Blender's own thread, and returns the farm and
    what is done in the thread; `finish` afterwards, again in Blender's. Called by a script, it waits until all is done."""

    def prepare(self, context):
        raise NotImplementedError

    def finish(self, context, result):
        raise NotImplementedError

    def invoke(self, context, event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        if not self._start(context):
            return {"CANCELLED"}
        state.timers[self._work] = context.window_manager.event_timer_add(_LOOK_SECONDS, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        state.redraw()
        if self._work.going:
            return {"PASS_THROUGH"}
        _remove_timer(self._work)
        # Once more when this event is over: without the timer, Blender may draw nothing until the mouse moves.
        bpy.app.timers.register(state.redraw, first_interval=_LOOK_SECONDS)
        return self._end(context)

    def cancel(self, context):
        """Blender ends, or opens another file. What was to be submitted is kept, and sent later."""
        _remove_timer(self._work)
        self._work.interrupt()
        self._forget()

    def execute(self, context):
        if not self._start(context):
            return {"CANCELLED"}
        self._work.wait()
        return self._end(context)

    def _start(self, context):
        if state.work is not None and state.work.going:
            self.report({"ERROR"}, "The farm is still being sent something: wait until that has ended, or stop it")
            return False
        try:
            farm, doing = self.prepare(context)
        except FarmError as error:
            self.report({"ERROR"}, str(error))
            return False
        except Exception as error:  # whatever it is, the artist hears of it in one sentence
            self.report({"ERROR"}, f"The add-on made a mistake, and nothing is submitted: {type(error).__name__}: {error}")
            return False
        state.page = ""
        self._work = state.work = Work(farm, doing)
        return True

    def _end(self, context):
        work = self._work
        self._forget()
        state.redraw()
        error = work.error
        if error is None:
            try:
                self.finish(context, work.result)
                return {"FINISHED"}
            except FarmError as problem:
                error = problem
            except Exception as problem:  # likewise
                error = FarmError(f"The add-on made a mistake: {type(problem).__name__}: {problem}")
        self.report({"WARNING"} if isinstance(error, Canceled) else {"ERROR"}, str(error))
        return {"CANCELLED"}

    def _forget(self):
        """Have no work go on, unless another one has begun since this one ended."""
        if state.work is self._work:
            state.work = None
