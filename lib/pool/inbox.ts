import { nextTick } from 'node:process';
import { setImmediate } from 'node:timers';
import { wrongType } from '../options.ts';
import type { PoolBuffer } from './block.ts';
import { disposeBy } from './dispose.ts';
import { takeIn } from './handover.ts';
import { Inside } from './inside.ts';
import { fail, STATUS } from './status.ts';

/** Called with each block that comes, and with what {@link Pool.send} was told to say with it. */
export type InboxListener = (block: PoolBuffer, note: number) => void;

/** Those that are open: what is sent is to be heard of though nobody else has the inbox any more. */
const open = new Set<Inbox>();

/** Blocks taken in between two turns of the event loop, which has other things to do as well. */
const MOST_PER_TURN = 1000;

/**
 * Where a thread takes in blocks that {@link Pool.send} sends it, made by {@link Pool.receive}. As a MessagePort with a listener
 * does, it keeps its thread alive until it is closed or {@link Inbox.unref} was called.
 */
export class Inbox {
  /** What {@link Pool.send} needs: a number to send to other threads with postMessage. It works until the inbox is closed. */
  readonly address: number;
  /** Closes it. */
  declare readonly [Symbol.dispose]: () => void;
  readonly #inside: Inside;
  readonly #listener: InboxListener;
  #isOpen = true;
  #isReferenced = true;

  /** @internal */
  constructor(inside: Inside, listener: InboxListener) {
    if (!Inside.isOne(inside)) throw wrongType('an inbox is made by pool.receive()');
    if (typeof listener !== 'function') throw wrongType('listener must be a function');
    inside.look();
    const address = inside.native.openInbox();
    if (address < 0) fail(address);
    this.address = address;
    this.#inside = inside;
    this.#listener = listener;
    open.add(this);
    inside.inboxes.add(this);
    inside.stayIfNeeded();
  }

  /** @internal Whether the thread is to live as long as it is open. */
  get isReferenced(): boolean {
    return this.#isReferenced;
  }

  /**
   * Closes it. Blocks that have come and were not taken in are freed; to send it one is `ERR_STALE_HANDLE` from here on, and the block
   * stays the sender's. To close it twice is no error.
   * @example
   * const pool = createPool();
   * const inbox = pool.receive((block) => pool.free(block));
   * inbox.close();
   * pool.destroy();
   */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    open.delete(this);
    this.#inside.inboxes.delete(this);
    this.#inside.native.closeInbox(this.address);
    this.#inside.stayIfNeeded();
  }

  /**
   * The thread may end although the inbox is open.
   * @returns the inbox
   * @example
   * const pool = createPool();
   * const inbox = pool.receive((block) => pool.free(block)).unref();
   * inbox.close();
   * pool.destroy();
   */
  unref(): this {
    return this.#refer(false);
  }

  /**
   * The thread lives as long as the inbox is open, as at first.
   * @returns the inbox
   * @example
   * const pool = createPool();
   * const inbox = pool.receive((block) => pool.free(block)).unref().ref();
   * inbox.close();
   * pool.destroy();
   */
  ref(): this {
    return this.#refer(true);
  }

  #refer(isReferenced: boolean): this {
    this.#isReferenced = isReferenced;
    this.#inside.stayIfNeeded();
    return this;
  }

  /** @internal Gives what has come to the listener. */
  take(): void {
    const inside = this.#inside;
    for (let left = MOST_PER_TURN; left > 0; left--) {
      const place = this.#isOpen ? inside.call(() => inside.native.receive(this.address)) : STATUS.STALE;
      if (place < 0) return;
      try {
        this.#listener(takeIn(inside, place, inside.second()), inside.third());
      } catch (error) {
        // As of a listener of Node's own: it is uncaught, and keeps nothing from the others.
        nextTick(() => {
          throw error;
        });
      }
    }
    setImmediate(() => this.take());
  }
}

disposeBy(Inbox.prototype, (inbox) => inbox.close());
