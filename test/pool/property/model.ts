// What a program of the property test should come to: the blocks of each pool, and whose they are.
import type { PoolOptions } from '../../../lib/index.ts';

/**
 * live: a thread's. sent: a thread's that has not taken it in yet, as far as the program can tell. idle: in its recycler. lingering: freed as far as the program can tell, but occupying memory as long as its
 * ArrayBuffer is there. dead, moved, shared: no block any more. lost: without a reference to it.
 */
export type State = 'live' | 'sent' | 'idle' | 'lingering' | 'dead' | 'moved' | 'shared' | 'lost';

export interface Block {
  id: number;
  /** Of one that was sent: the number that its bytes are filled with. */
  filledAs?: number;
  thread: number;
  state: State;
  /** Bytes asked for. */
  size: number;
  /** Bytes it occupies; undefined if it has a region to itself. */
  bytes: number | undefined;
  /** Whether it has an ArrayBuffer to itself. */
  isOwn: boolean;
  isFixed: boolean;
}

/** A block that is nobody's: on its way, or shared. */
export interface Transit {
  handle: number;
  block: Block;
  /** Of a shared block: its users and their threads. */
  users: Map<number, number> | undefined;
}

/** Bytes of the block that serves a request. */
export function fitOf(size: number): number {
  if (size <= 256) return size <= 64 ? 64 : size <= 128 ? 128 : 256;
  const power = 2 ** Math.ceil(Math.log2(size));
  return (power / 8) * Math.max(5, Math.ceil(size / (power / 8)));
}

export class PoolModel {
  readonly blocks = new Map<number, Block>();
  readonly transits: Transit[] = [];
  readonly staleHandles: number[] = [1, 12_345];
  /** How many blocks, at most, may be there or not: the garbage collector decides, or a request that waited. */
  maybe = 0;
  readonly number: number;
  readonly options: PoolOptions & { limit: number; regionSize: number };

  constructor(number: number, options: PoolOptions & { limit: number; regionSize: number }) {
    this.number = number;
    this.options = options;
  }

  get keepsOwn(): boolean {
    return this.options.guard === 'detach';
  }

  bytesFor(size: number, alignment = 0): number | undefined {
    const { regionSize } = this.options;
    return size > regionSize || alignment > regionSize ? undefined : fitOf(size);
  }

  add(
    id: number,
    thread: number,
    size: number,
    how: { alignment?: number; isOwn?: boolean; isFixed?: boolean } = {},
  ): Block {
    const block: Block = {
      id,
      thread,
      state: 'live',
      size,
      bytes: this.bytesFor(size, how.alignment),
      isOwn: how.isOwn === true || this.keepsOwn,
      isFixed: how.isFixed === true,
    };
    this.blocks.set(id, block);
    return block;
  }

  in(...states: State[]): Block[] {
    return [...this.blocks.values()].filter(({ state }) => states.includes(state));
  }

  /** The blocks that must be there, those of nobody included. */
  occupying(): Block[] {
    const lost = this.in('lost');
    return [...this.in('live', 'sent', 'idle', 'lingering'), ...lost, ...this.transits.map(({ block }) => block)];
  }

  /** Nobody has a reference to it. */
  forget(block: Block): void {
    this.blocks.delete(block.id);
    if (block.state !== 'live' && block.state !== 'lingering') return;
    if (block.isOwn) this.maybe++;
    else this.blocks.set(block.id, { ...block, state: 'lost' });
  }

  /** The idle blocks of a thread are free. */
  freeIdle(thread: number): void {
    for (const block of this.in('idle')) if (block.thread === thread) this.blocks.delete(block.id);
  }

  /** The idle blocks may be gone. */
  shakeIdle(): void {
    for (const block of this.in('idle')) {
      this.blocks.delete(block.id);
      this.maybe++;
    }
  }

  endTransit(transit: Transit): void {
    this.transits.splice(this.transits.indexOf(transit), 1);
    this.staleHandles.push(transit.handle);
  }

  reset(): void {
    for (const block of [...this.blocks.values()]) {
      const isLost = block.state === 'lost';
      if (block.state === 'sent') {
        // What its thread has heard of already has an ArrayBuffer.
        this.blocks.delete(block.id);
        if (this.keepsOwn) this.maybe++;
      }
      if (isLost || block.state === 'idle' || block.state === 'live') {
        // A recycler's block is no longer idle to anybody.
        block.state = this.keepsOwn && block.isOwn && block.size > 0 ? 'lingering' : 'dead';
        if (this.keepsOwn && !(block.isOwn && block.size > 0)) this.maybe++;
        // Nor can a thread name one that it has no reference to.
        if (isLost) this.blocks.delete(block.id);
      }
    }
    for (const transit of [...this.transits])
      if (!this.keepsOwn || transit.users === undefined) this.endTransit(transit);
    if (!this.keepsOwn) this.maybe = 0;
  }

  endThread(thread: number): void {
    for (const block of [...this.blocks.values()]) if (block.thread === thread) this.blocks.delete(block.id);
    for (const transit of [...this.transits]) {
      for (const [user, of] of transit.users ?? []) if (of === thread) transit.users?.delete(user);
      if (transit.users?.size === 0) this.endTransit(transit);
    }
  }
}
