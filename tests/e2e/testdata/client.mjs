// One session of the official TypeScript SDK: reads what to do from standard
// input as JSON, and writes what its user gets to see, as JSON.
import { readFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const todo = JSON.parse(readFileSync(0, 'utf8'));
const transport = new StreamableHTTPClientTransport(new URL(todo.url), {
  requestInit: { headers: { Authorization: `Bearer ${todo.token}` } },
});
const client = new Client({ name: 'e2e', version: '1' });
await client.connect(transport);
const call = async (name) => (await client.callTool({ name, arguments: todo.arguments })).content[0].text;

const report = { revision: transport.protocolVersion };
report.tools = (await client.listTools()).tools.map((tool) => tool.name);
report.answer = await call(todo.allowed);
try {
  report.denied = { message: `allowed: ${await call(todo.denied)}` };
} catch (error) {
  report.denied = { code: error.code, message: error.message, data: error.data };
}
report.after = await call(todo.allowed);
await client.ping();
await client.close();
console.log(JSON.stringify(report));
