// Writes a report: many small strings and objects, and one long text.
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', ({ id, rows }: { id: number; rows: number }) => {
  const table = Array.from({ length: rows }, (_, row) => ({
    row,
    name: `customer ${row % 97}`,
    amounts: Array.from({ length: 12 }, (_, month) => (row * 31 + month * 17) % 1000),
  }));
  parentPort?.postMessage({ id, text: JSON.stringify(table) });
});
