import type { PoolBinding } from '../binding.ts';
import { Home } from './home.ts';
import type { Pool } from './pool.ts';
import type { Quick } from './quick.ts';
import { HEAD_BUSY, STOCK_HEAD, STOCK_STRIDE, STOCKED_SIZE, stockCapacity } from './stock.ts';

/** The homes of a pool's blocks in this thread, one for each size that a stock holds; they lie where the quick ways find them. */
export class Homes {
  readonly #pool: Pool;
  readonly #native: PoolBinding;
  readonly #quick: Quick;
  /** Whether every block has an ArrayBuffer to itself. */
  readonly #allOwn: boolean;
  /** The pool's limit; 0 where there is no stock. */
  readonly #limit: number;
  #large: Home;
  #own: Home;
  /** The class of large blocks that are kept at hand, or -1. */
  #favoured = -1;

  constructor(pool: Pool, binding: PoolBinding, quick: Quick, allOwn: boolean, limit: number) {
    this.#pool = pool;
    this.#native = binding;
    this.#quick = quick;
    this.#allOwn = allOwn;
    this.#limit = limit;
    this.#large = this.#stockless(allOwn);
    this.#own = this.#stockless(true);
    this.#makeStocked();
  }

  /** Homes of blocks from here on; those of before are stale. */
  renew(): void {
    const { homes, ownHomes } = this.#quick;
    for (const home of [...homes, ...ownHomes, this.#large, this.#own]) home.stale = true;
    this.#favoured = -1;
    this.#makeStocked();
    this.#large = this.#stockless(this.#allOwn);
    this.#own = this.#stockless(true);
  }

  #makeStocked(): void {
    const homes = (own: boolean) =>
      this.#native.classes.map((bytes, index) => {
        const base = STOCK_HEAD + index * STOCK_STRIDE;
        return new Home(this.#pool, index, bytes, base, stockCapacity(bytes, this.#limit), own);
      });
    this.#quick.homes = homes(this.#allOwn);
    this.#quick.ownHomes = this.#allOwn ? this.#quick.homes : homes(true);
  }

  #stockless(own: boolean, era?: Home): Home {
    return new Home(this.#pool, -1, 0, HEAD_BUSY, 0, own, era);
  }

  /** A small block that has a region to itself, for the sake of its alignment, is no block of its size's stock. */
  of(bytes: number, place: number): Home {
    const { homes, classOf, firstAlone } = this.#quick;
    return bytes <= STOCKED_SIZE && place < firstAlone
      ? (homes[classOf[(bytes + 63) >>> 6] as number] as Home)
      : this.#large;
  }

  /** The same for a block that has an ArrayBuffer to itself whatever the guard. */
  ownOf(bytes: number, place: number): Home {
    const { ownHomes, classOf, firstAlone } = this.#quick;
    return bytes <= STOCKED_SIZE && place < firstAlone
      ? (ownHomes[classOf[(bytes + 63) >>> 6] as number] as Home)
      : this.#own;
  }

  /** The home of a recycler's blocks. */
  ofRecycler(): Home {
    return this.#stockless(this.#allOwn, this.#large);
  }

  /** Keeps large blocks of this size at hand, instead of another. */
  favour(sizeClass: number): void {
    if (this.#favoured >= 0) {
      this.#native.unstock(this.#favoured, 0);
      for (const home of this.#homesOf(this.#favoured)) home.capacity = 0;
    }
    this.#favoured = sizeClass;
    for (const home of this.#homesOf(sizeClass)) home.capacity = home.most;
  }

  #homesOf(sizeClass: number): Home[] {
    const { homes, ownHomes } = this.#quick;
    return [homes[sizeClass] as Home, ownHomes[sizeClass] as Home];
  }
}
