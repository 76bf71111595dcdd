"""An MCP server over streamable HTTP."""

try:
    from mcp.server.mcpserver import MCPServer as Server
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server

server = Server("sums")


@server.tool()
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


app = server.streamable_http_app()
