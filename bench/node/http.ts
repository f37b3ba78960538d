/** A server that takes JSON, changes it and sends it back, and its client, in one process. */
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { amount, numbers } from './report.ts';

const AT_ONCE = 32;

interface Order {
  id: number;
  customer: string;
  lines: { article: string; count: number; price: number }[];
}

const server = createServer((incoming, response) => {
  const parts: Buffer[] = [];
  incoming.on('data', (part: Buffer) => parts.push(part));
  incoming.on('end', () => {
    const order: Order = JSON.parse(Buffer.concat(parts).toString());
    const total = order.lines.reduce((sum, line) => sum + line.count * line.price, 0);
    const body = JSON.stringify({
      ...order,
      total,
      lines: order.lines.map((line) => ({ ...line, sum: line.count * line.price })),
    });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
const random = numbers(17);

function order(id: number): string {
  const lines = Array.from({ length: 5 + random(120) }, () => ({
    article: `article-${random(100_000)}`,
    count: random(20) + 1,
    price: random(10_000) / 100,
  }));
  return JSON.stringify({ id, customer: `customer-${random(1000)}`, lines });
}

function send(body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const outgoing = request({ port, host: '127.0.0.1', method: 'POST', agent, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve(JSON.parse(Buffer.concat(parts).toString()).total));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

let sent = 0;
async function customer(): Promise<void> {
  while (sent < amount) await send(order(sent++));
}
await Promise.all(Array.from({ length: AT_ONCE }, customer));
agent.destroy();
server.close();
