"""What is laid over the screen: a question, a number that is asked for, a long text."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from brender.model.text import harmless


class Confirm(ModalScreen[bool]):
    """Asks a *question* that is answered with y or n."""

    BINDINGS: ClassVar = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(harmless(self._question), markup=False)
            yield Static("y: yes    n: no", classes="keys", markup=False)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class AskNumber(ModalScreen[int | None]):
    """Asks for a whole number from *least* to *most*; answers ``None`` if the user gives up."""

    BINDINGS: ClassVar = [Binding("escape", "leave", "Leave")]

    def __init__(self, question: str, before: int, least: int, most: int) -> None:
        super().__init__()
        self._question, self._before, self._least, self._most = question, before, least, most

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(harmless(self._question), markup=False)
            yield Input(str(self._before), type="integer", select_on_focus=True)
            yield Static(f"{self._least} to {self._most}, then Enter · Esc: leave it", classes="keys", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if text.lstrip("-").isdigit() and self._least <= int(text) <= self._most:
            self.dismiss(int(text))
        else:
            self.query_one(".keys", Static).update(f"Write a whole number from {self._least} to {self._most}")

    def action_leave(self) -> None:
        self.dismiss(None)


class Text(ModalScreen[None]):
    """Shows a long *text*, which can be copied."""

    BINDINGS: ClassVar = [
        Binding("escape,q,enter,question_mark", "leave", "Close"),
        Binding("c", "copy", "Copy"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog large"):
            with VerticalScroll():
                yield Static(harmless(self._text, kept="\n"), markup=False)
            yield Static("Esc: close · c: copy", classes="keys", markup=False)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._text)
        self.query_one(".keys", Static).update("copied, in a terminal that lets programs do so (OSC 52)")

    def action_leave(self) -> None:
        self.dismiss(None)
