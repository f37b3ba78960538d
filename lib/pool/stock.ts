import type { Home } from './home.ts';
import type { Quick } from './quick.ts';

/** As in csrc/pool.h. */
export const STOCK_HEAD = 16;
export const STOCK_STRIDE = 64;
const STOCK_MOST = 62;
/** The word that is 1 while the stock must not be taken away by another thread. */
export const HEAD_BUSY = 1;
/** Two words with the second result of some calls, and two with the third. */
const HEAD_SECOND = 2;
export const HEAD_THIRD = 4;
/** Bytes of the largest block that a stock holds. */
export const STOCKED_SIZE = 2 ** 20;
/** Bytes that a thread's stock of one size may hold, unless that is less than a block, and the part of the limit that it may. */
const STOCK_BYTES = 2 ** 19;
const STOCK_SHARE = 128;

/**
 * Of larger blocks than this a thread keeps only those of the size that it has freed last: some of each size were 7 MiB, and took the
 * memory in use beyond a region (docs/adr/0017-pool-shortfalls.md).
 */
export const FAVOURED_FROM = 2 ** 16;

/** The most blocks of a size that a thread's stock keeps. */
export function stockCapacity(bytes: number, limit: number): number {
  const most = limit / STOCK_SHARE;
  return most < bytes ? 0 : Math.min(STOCK_MOST, Math.max(1, Math.floor(Math.min(STOCK_BYTES, most) / bytes)));
}

/** For each length in units of 64 bytes the number of the smallest class that holds it. */
export function classTable(classes: readonly number[]): Uint8Array {
  const table = new Uint8Array(STOCKED_SIZE / 64 + 1);
  let next = 0;
  classes.forEach((bytes, index) => {
    table.fill(index, next, bytes / 64 + 1);
    next = bytes / 64 + 1;
  });
  return table;
}

/** The second result of the call before. */
export function secondOf(stock: Int32Array): number {
  return (stock[HEAD_SECOND + 1] as number) * 2 ** 32 + ((stock[HEAD_SECOND] as number) >>> 0);
}

/**
 * Takes a place from the stock; -1 if there is none, or the word has changed. HEAD_BUSY is set before the word is looked at
 * and until the stock is as it should be: in between no other thread takes it away (csrc/pool_stock.c).
 */
export function pop({ stock, word }: Quick, home: Home): number {
  let place = -1;
  stock[HEAD_BUSY] = 1;
  if (stock[0] === word) {
    const count = stock[home.base] as number;
    if (count > 0 && home.capacity > 0) {
      place = stock[home.base + count] as number;
      stock[home.base] = count - 1;
    }
  }
  stock[HEAD_BUSY] = 0;
  return place;
}

/** Puts a place into the stock; false if it is full, or the word has changed. */
export function push({ stock, word }: Quick, home: Home, place: number): boolean {
  let done = false;
  stock[HEAD_BUSY] = 1;
  if (stock[0] === word) {
    const count = stock[home.base] as number;
    if (count < home.capacity) {
      stock[home.base + count + 1] = place;
      stock[home.base] = count + 1;
      done = true;
    }
  }
  stock[HEAD_BUSY] = 0;
  return done;
}
