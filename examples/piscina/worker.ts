import { openPool } from 'buddymalloc';

const pool = openPool('pictures');

/** Turns a picture into its negative, in place. */
export default function negative(handle: number): number {
  const picture = pool.adopt(handle);
  for (let i = 0; i < picture.length; i++) picture[i] = 255 - (picture[i] as number);
  return pool.handle(picture);
}
