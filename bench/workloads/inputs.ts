/** Generates what the programs work on, from a fixed seed. */

/** Park and Miller's generator: small, and the same everywhere. */
export function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
}

/** A C file of `functions` functions with loops, switches and calls of each other. */
export function cSource(functions: number): string {
  const random = numbers(11);
  const parts = ['struct pair { long a; long b; double c; };', 'static long table[256];'];
  for (let i = 0; i < functions; i++) {
    const cases = Array.from(
      { length: 8 },
      (_, k) => `    case ${k}: x = x * ${random(97) + 3} + p->b - ${random(1000)}; break;`,
    );
    const call = i > 0 ? `f${random(i)}(p, x & 63)` : 'x';
    parts.push(
      `static long f${i}(struct pair *p, long x) {`,
      `  for (long i = 0; i < ${random(30) + 2}; i++) {`,
      `    table[(x + i) & 255] += p->a * i + table[i & 255] / (x | 1);`,
      `    p->c += (double)table[(i * ${random(50) + 1}) & 255] * ${random(100)}.5;`,
      `    if (table[x & 255] > ${random(5000)}) x ^= (long)p->c;`,
      '  }',
      '  switch (x & 7) {',
      ...cases,
      '  }',
      `  return x > ${random(100_000)} ? ${call} : x + p->a;`,
      '}',
    );
  }
  parts.push('long entry(struct pair *p) {', '  long sum = 0;');
  for (let i = 0; i < functions; i++) parts.push(`  sum += f${i}(p, sum);`);
  parts.push('  return sum;', '}', '');
  return parts.join('\n');
}

/** Linear arithmetic over 150 numbers and one uninterpreted function. */
export function smtProblem(constraints: number): string {
  const random = numbers(5);
  const x = (): string => `x${random(150)}`;
  const lines = ['(declare-fun f (Int Int) Int)'];
  for (let i = 0; i < 150; i++) lines.push(`(declare-const x${i} Int)`, `(assert (and (>= x${i} 0) (<= x${i} 1000)))`);
  for (let i = 0; i < constraints; i++) {
    const [a, b, c, d] = [x(), x(), x(), x()];
    lines.push(
      `(assert (or (> (+ ${a} (* ${random(7) + 2} ${b})) (+ ${c} ${random(500)})) ` +
        `(= (f ${b} ${c}) (+ ${a} ${random(50)})) (< (+ ${d} ${b}) (f ${a} ${d}))))`,
      `(assert (or (<= ${a} (+ ${d} ${random(20)})) (distinct (f ${a} ${b}) (f ${c} ${d}))))`,
    );
  }
  return `${lines.join('\n')}\n(check-sat)\n`;
}

/** A stream for `git fast-import`: so many commits, each of which changes a few of 60 files. */
export function gitHistory(commits: number): string {
  const random = numbers(23);
  const files = Array.from({ length: 60 }, () =>
    Array.from({ length: 120 }, () => `line ${random(1_000_000)} ${random(1000)}`),
  );
  const stream: string[] = [];
  for (let commit = 1; commit <= commits; commit++) {
    stream.push('commit refs/heads/main', `committer A <a@example.org> ${1_600_000_000 + commit} +0000`, 'data 1', 'x');
    for (let change = 0; change < 4; change++) {
      const number = random(files.length);
      const lines = files[number] ?? [];
      for (let edit = 0; edit < 5; edit++) lines[random(lines.length)] = `line ${random(1_000_000)} at ${commit}`;
      const text = lines.join('\n');
      stream.push(`M 100644 inline folder${number % 7}/file${number}`, `data ${text.length}`, text);
    }
  }
  return `${stream.join('\n')}\n`;
}
