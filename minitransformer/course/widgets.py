"""The clickable form of a question. It makes the same short text that one would type, and shows the same reply."""

from collections.abc import Callable

import ipywidgets

from .display import Shown
from .questions import Choice, Match, Question


def controls(question: Question, answer: Callable[[str, str], Shown]) -> ipywidgets.Widget:
    """Buttons or menus, and below them what the answer got."""
    reply = ipywidgets.HTML()

    def give(text: str) -> None:
        reply.value = answer(question.id, text).html + f'<small>As code: quiz("{question.id}", answer="{text}")</small>'

    form = {Choice: letters, Match: menus}.get(type(question), sequence)
    return ipywidgets.VBox([form(question, give), reply])


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


def button(text: str, press: Callable[[], None]) -> ipywidgets.Button:
    made = ipywidgets.Button(description=text, layout={"width": "auto"})
    made.on_click(lambda _: press())
    return made
