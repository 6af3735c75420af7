"""The clickable form of a question. It makes the same short text that one would type, and shows the same reply."""

from collections.abc import Callable

import ipywidgets

from .display import Shown, loud
from .questions import Choice, Match, Numeric, Question, Several, Text

NO_REPLY = "<small>A click that gets no reply, as after a restart, is not kept: run the cell again.</small>"


def controls(
    question: Question, answer: Callable[[str, str], Shown], before: str = "", failed: Callable[..., Shown] = loud
) -> ipywidgets.Widget:
    """Buttons or menus, and below them what the answer got, or what the one `before` got."""
    reply = ipywidgets.HTML(before)

    def give(text: str) -> None:
        try:
            reply.value = answer(question.id, text).html
        except Exception as error:  # a front end shows nobody what is raised by a click
            reply.value = failed(question.id, text, f"{type(error).__name__}: {error}").html

    forms = {Choice: letters, Match: menus, Several: boxes, Numeric: line, Text: page}
    form = forms.get(type(question), sequence)
    return ipywidgets.VBox([form(question, give), reply, ipywidgets.HTML(NO_REPLY)])


def letters(question: Choice, give: Callable[[str], None]) -> ipywidgets.Widget:
    """One button for each option."""
    buttons = [button(letter, lambda letter=letter: give(letter)) for letter in question.labels]
    return ipywidgets.HBox(buttons)


def sequence(question: Question, give: Callable[[str], None]) -> ipywidgets.Widget:
    """Press the letters in order; the last one answers."""
    pressed: list[str] = []
    so_far = ipywidgets.Label("press the steps in order")

    def press(letter: str) -> None:
        if letter not in pressed:
            pressed.append(letter)
        so_far.value = " → ".join(pressed)
        if len(pressed) == len(question.labels):
            give(" ".join(pressed))

    def again() -> None:
        pressed.clear()
        so_far.value = "press the steps in order"

    buttons = [button(letter, lambda letter=letter: press(letter)) for letter in question.labels]
    return ipywidgets.HBox([*buttons, button("start again", again), so_far])


def menus(question: Match, give: Callable[[str], None]) -> ipywidgets.Widget:
    """A menu for each number, and one button for all."""
    numbers = range(1, len(question.pairs) + 1)
    choices = [
        ipywidgets.Dropdown(
            options=["", *question.labels],
            description=str(number),
            layout={"width": "6.5em"},
            style={"description_width": "1.5em"},  # the usual 80 pixels would leave no room for the letter
        )
        for number in numbers
    ]

    def give_all() -> None:
        if all(choice.value for choice in choices):
            give(" ".join(f"{number}{choice.value}" for number, choice in zip(numbers, choices, strict=True)))

    return ipywidgets.HBox([*choices, button("answer", give_all)], layout={"flex_flow": "row wrap"})


def boxes(question: Several, give: Callable[[str], None]) -> ipywidgets.Widget:
    """A box to check for each option, and one button for all."""
    checks = [
        ipywidgets.Checkbox(description=letter, indent=False, layout={"width": "3.5em"}) for letter in question.labels
    ]

    def give_all() -> None:
        if any(check.value for check in checks):
            give(" ".join(check.description for check in checks if check.value))

    return ipywidgets.HBox([*checks, button("answer", give_all)], layout={"flex_flow": "row wrap"})


def line(question: Numeric, give: Callable[[str], None]) -> ipywidgets.Widget:
    """A field for a number, and a button."""
    return written(ipywidgets.Text(placeholder=question.ask, layout={"width": "18em"}), give, ipywidgets.HBox)


def page(question: Text, give: Callable[[str], None]) -> ipywidgets.Widget:
    """Room for a few sentences, and a button."""
    return written(
        ipywidgets.Textarea(placeholder=question.ask, rows=6, layout={"width": "95%"}), give, ipywidgets.VBox
    )


def written(field: ipywidgets.Widget, give: Callable[[str], None], around: type) -> ipywidgets.Widget:
    def give_it() -> None:
        if field.value.strip():
            give(field.value)

    return around([field, button("answer", give_it)])


def button(text: str, press: Callable[[], None]) -> ipywidgets.Button:
    made = ipywidgets.Button(description=text, layout={"width": "auto"})
    made.on_click(lambda _: press())
    return made
