import type { PoolBinding } from '../binding.ts';
import { reasonOf } from '../options.ts';
import type { PoolBuffer } from './block.ts';
import { fail, STATUS } from './status.ts';

/** Of every signal, whatever properties of these names the program has given it. */
const { addEventListener: listen, removeEventListener: forget } = EventTarget.prototype;

interface Waiter {
  bytes: number;
  resolve(block: PoolBuffer): void;
  reject(reason: unknown): void;
  forgetSignal(): unknown;
}

/** Those with a request that waits: the promise is to be kept though nobody else has the pool any more. */
const busy = new Set<Waiters>();

/** This thread's requests that wait for room in one pool. Their order, over all threads, is the addon's affair. */
export class Waiters {
  readonly #waiting = new Map<number, Waiter>();
  #native: PoolBinding | undefined;
  #notified: (() => void) | undefined;
  #view: ((place: number, bytes: number) => PoolBuffer) | undefined;
  #second: () => number = () => STATUS.DEAD;
  #rest: () => void = () => {};
  #lastId = 0;

  connect(
    binding: PoolBinding,
    notified: () => void,
    view: (place: number, bytes: number) => PoolBuffer,
    second: () => number,
    rest: () => void,
  ): void {
    this.#native = binding;
    this.#second = second;
    this.#rest = rest;
    this.#notified = notified;
    this.#view = view;
  }

  /** Whether this thread waits for nothing. */
  get areNone(): boolean {
    return this.#waiting.size === 0;
  }

  /** A promise of the block, or a status below 0. */
  begin(bytes: number, signal: AbortSignal | undefined): Promise<PoolBuffer> | number {
    const native = this.#native as PoolBinding;
    const id = ++this.#lastId;
    const promise = new Promise<PoolBuffer>((resolve, reject) => {
      const abort = () => {
        if (native.cancel(id) === 0) return;
        this.#waiting.delete(id);
        this.#restIfDone();
        reject(reasonOf(signal as AbortSignal));
      };
      if (signal !== undefined) listen.call(signal, 'abort', abort, { once: true });
      this.#waiting.set(id, {
        bytes,
        resolve,
        reject,
        forgetSignal: () => signal !== undefined && forget.call(signal, 'abort', abort),
      });
    });
    busy.add(this);
    const status = native.wait(id, bytes, 0);
    if (status < 0) {
      this.#waiting.get(id)?.forgetSignal();
      this.#waiting.delete(id);
      this.#restIfDone();
      return status;
    }
    this.drain();
    return promise;
  }

  /** Called from the event loop when the addon has answers, wants the thread's stock, or has blocks that were sent. */
  notified(): void {
    this.#notified?.();
  }

  /** Settles what was answered. */
  drain(): void {
    if (this.#waiting.size === 0) return;
    const native = this.#native as PoolBinding;
    for (let id = native.granted(); id !== undefined; id = native.granted()) {
      const waiter = this.#waiting.get(id);
      const place = this.#second();
      this.#waiting.delete(id);
      waiter?.forgetSignal();
      try {
        if (place < 0) fail(place, waiter?.bytes);
        if (this.#view !== undefined && waiter !== undefined) waiter.resolve(this.#view(place, waiter.bytes));
      } catch (error) {
        waiter?.reject(error);
      }
    }
    this.#restIfDone();
  }

  #restIfDone(): void {
    if (this.#waiting.size > 0) return;
    busy.delete(this);
    this.#rest();
  }
}
