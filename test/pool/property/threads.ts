// The threads of a program of the property test: this one, and workers that are told what to do and answer.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Actor, type Answer, type Command } from './actor.ts';

export const THREADS = 3;

/** Node 20 does not hand the loader of TypeScript on to workers. */
const START = `import('tsx/esm/api').then(({ register }) => {
  register();
  return import(require('node:worker_threads').workerData);
});`;

export class Threads {
  readonly #here = new Actor();
  readonly #workers: (Worker | undefined)[] = [];

  async run(thread: number, command: Command): Promise<Answer> {
    if (thread === 0) return this.#here.run(command);
    const worker = this.#worker(thread);
    const answer = once(worker, 'message');
    worker.postMessage(command);
    return (await answer)[0] as Answer;
  }

  /** A new program: nothing of the last one is known any more. */
  async begin(): Promise<void> {
    for (let thread = 0; thread < THREADS; thread++) await this.run(thread, { op: 'begin' });
  }

  async end(thread: number): Promise<void> {
    const worker = this.#workers[thread];
    this.#workers[thread] = undefined;
    await worker?.terminate();
  }

  #worker(thread: number): Worker {
    const known = this.#workers[thread];
    if (known !== undefined) return known;
    const worker = new Worker(START, { eval: true, workerData: new URL('worker.ts', import.meta.url).href });
    this.#workers[thread] = worker;
    return worker;
  }
}
