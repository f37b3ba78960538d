// A worker of the property test.
import { parentPort } from 'node:worker_threads';
import { Actor, type Command } from './actor.ts';

const actor = new Actor();
parentPort?.on('message', async (command: Command) => {
  parentPort?.postMessage(await actor.run(command));
});
