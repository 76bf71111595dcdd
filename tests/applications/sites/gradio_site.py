"""Gradio, mounted in FastAPI; its middleware drops messages that it does not know."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio
from fastapi import FastAPI

with gradio.Blocks() as demo:
    name = gradio.Textbox(label="Name")
    answer = gradio.Textbox(label="Answer")
    gradio.Button("Greet").click(lambda name: f"Hello {name}!", name, answer, api_name="greet")

app = gradio.mount_gradio_app(FastAPI(), demo, path="/")
