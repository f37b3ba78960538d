/** Photographs resized with sharp, four at a time. */
import { amount, numbers } from './report.ts';

const WIDTH = 2400;
const HEIGHT = 1600;
const AT_ONCE = 4;

const { default: sharp } = await import('sharp' as string);
const random = numbers(31);
const pixels = Buffer.alloc(WIDTH * HEIGHT * 3);
for (let i = 0; i < pixels.length; i += 3) pixels.writeUIntBE((i * 7 + random(4096)) & 0xffffff, i, 3);
const photograph = await sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
  .jpeg()
  .toBuffer();

let done = 0;
async function resize(): Promise<void> {
  while (done < amount) {
    const width = 200 + 100 * (done++ % 12);
    const { data } = await sharp(photograph)
      .resize(width)
      .sharpen()
      .webp({ effort: 1 })
      .toBuffer({ resolveWithObject: true });
    if (data.length === 0) throw new Error('sharp gave back nothing');
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, resize));
