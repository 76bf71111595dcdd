"""NiceGUI: a page that talks by socket.io."""

from fastapi import FastAPI
from nicegui import ui

app = FastAPI()


@ui.page("/")
def page():
    count = {"value": 0}
    label = ui.label("count 0")

    def plus():
        count["value"] += 1
        label.set_text(f"count {count['value']}")

    ui.button("Plus", on_click=plus)


ui.run_with(app)
