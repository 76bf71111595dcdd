from ._types import ErrorCode, StreamingResponse
from ._request import Request, StreamingRequest
from ._connection import Connection, ConnectionData, current_connection
from .validators import ValidatedStruct, validator
from ._exceptions import (
    CloseConnection,
    HandlerNotFound,
    Error,
    SwillException,
    SwillResponseError,
    SwillValidationError,
)
from .app import Swill, current_app

__version__ = "0.1.0"
