import { writeThen } from './outgoing.ts';
import type { PooledReadStream } from './read-stream.ts';

/**
 * A stream's flow into one destination. Node's own pipe does not tell when the destination has finished a write; this one holds each
 * chunk until then. As with Node's, an error of the destination ends the pipe and not the source.
 */
export class Pipe {
  readonly #source: PooledReadStream;
  readonly #destination: NodeJS.WritableStream;
  readonly #endsToo: boolean;
  readonly #ended: () => void;
  #isFull = false;

  constructor(source: PooledReadStream, destination: NodeJS.WritableStream, endsToo: boolean, ended: () => void) {
    this.#source = source;
    this.#destination = destination;
    this.#endsToo = endsToo && destination !== process.stdout && destination !== process.stderr;
    this.#ended = ended;
  }

  /** Whether the destination wants no more for now. */
  get isFull(): boolean {
    return this.#isFull;
  }

  begin(): void {
    this.#source.on('data', this.#write);
    this.#source.once('end', this.#finish);
    this.#destination.on('drain', this.#drained);
    this.#destination.once('close', this.end);
    this.#destination.once('finish', this.end);
    this.#destination.emit('pipe', this.#source as never);
    this.#isFull = (this.#destination as { writableNeedDrain?: boolean }).writableNeedDrain === true;
    this.#source.flow();
  }

  /** Cuts it: what was written stays held until its write has finished. */
  readonly end = (): void => {
    this.#source.off('data', this.#write);
    this.#source.off('end', this.#finish);
    this.#destination.off('drain', this.#drained);
    this.#destination.off('close', this.end);
    this.#destination.off('finish', this.end);
    this.#ended();
    if (this.#source.listenerCount('data') === 0) this.#source.pause();
    else if (this.#isFull) this.#source.flow();
    this.#destination.emit('unpipe', this.#source as never);
  };

  readonly #write = (chunk: Uint8Array | string): void => {
    if (typeof chunk === 'object') this.#source.hold(chunk);
    const release = () => {
      if (typeof chunk === 'object') this.#source.release(chunk);
    };
    try {
      if (writeThen(this.#destination, chunk, release)) return;
    } catch (error) {
      release();
      throw error;
    }
    this.#isFull = true;
    this.#source.flow();
  };

  readonly #finish = (): void => {
    if (this.#endsToo) this.#destination.end();
  };

  readonly #drained = (): void => {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#source.flow();
  };
}
