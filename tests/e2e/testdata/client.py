"""One session of the official Python SDK: reads what to do from standard input
as JSON, and writes what its user gets to see, as JSON."""

import asyncio
import json
import sys

from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError


async def main(todo):
    report = {}
    http = create_mcp_http_client(headers={"Authorization": "Bearer " + todo["token"]})
    async with http, Client(streamable_http_client(todo["url"], http_client=http)) as client:
        report["revision"] = client.protocol_version
        report["tools"] = [tool.name for tool in (await client.list_tools()).tools]

        async def call(tool):
            return (await client.call_tool(tool, todo["arguments"])).content[0].text

        report["answer"] = await call(todo["allowed"])
        try:
            report["denied"] = {"message": "allowed: " + await call(todo["denied"])}
        except MCPError as error:
            report["denied"] = {"code": error.error.code, "message": error.error.message, "data": error.error.data}
        report["after"] = await call(todo["allowed"])
        if report["revision"] < "2026-07-28":  # from then on there is no ping
            await client.send_ping()
    return report


print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
