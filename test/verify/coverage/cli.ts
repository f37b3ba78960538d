/** `npm run coverage`: the lines and branches of csrc/ that the C tests reach, file by file. */
import Table from 'cli-table3';
import { measure, missing, type Share, share } from './measure.ts';

const percent = ({ reached, all }: Share) => (all === 0 ? '' : `${((100 * reached) / all).toFixed(1)} %`);

const files = await measure();
const table = new Table({
  head: ['file', 'lines', 'branches', 'not reached'],
  style: { head: [], border: [] },
  wordWrap: true,
  colWidths: [24, 10, 10, 60],
});
for (const { name, lines } of files) {
  const { lines: reached, branches } = share(lines);
  table.push([name, percent(reached), percent(branches), missing(lines)]);
}
const { lines, branches } = share(files.flatMap((file) => file.lines));
table.push(['all', percent(lines), percent(branches), `${lines.all - lines.reached} lines of ${lines.all}`]);
console.log(table.toString());
