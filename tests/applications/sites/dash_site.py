"""Dash: a callback."""

from dash import Dash, Input, Output, dcc, html

dash = Dash(__name__)
dash.layout = html.Div([dcc.Input(id="i", value="a"), html.Div(id="o")])


@dash.callback(Output("o", "children"), Input("i", "value"))
def said(value):
    return f"you said {value}"


app = dash.server
