/** Two workers hand blocks to each other until the process is killed; it prints a line for every thousand. */
import { isMainThread, MessageChannel, type MessagePort, Worker, workerData } from 'node:worker_threads';
import { adopt, free, handover, malloc } from '../lib/index.ts';

function relay(port: MessagePort): void {
  let arrived = 0;
  port.on('message', (handle: number) => {
    free(adopt(handle));
    port.postMessage(handover(malloc((arrived * 37) % 100_000)));
    if (++arrived % 1000 === 0) process.stdout.write('.\n');
  });
  for (let i = 0; i < 50; i++) port.postMessage(handover(malloc(i * 100)));
}

if (isMainThread) {
  const { port1, port2 } = new MessageChannel();
  const load = `import('tsx/esm/api').then(({ tsImport }) => tsImport('./endless.ts', '${import.meta.url}'))`;
  for (const port of [port1, port2]) new Worker(load, { eval: true, workerData: port, transferList: [port] });
} else {
  relay(workerData as MessagePort);
}
