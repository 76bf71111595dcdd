"""A framework people use, with the smallest JSON answer."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def greet(request):
    return JSONResponse({"message": "Hello, world!"})


json = Starlette(routes=[Route("/{rest:path}", greet)])
