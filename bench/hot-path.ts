/** Reads the hot path of a function from the disassembly: every unlikely branch is laid out as a jump that is not taken. */
import { execa } from 'execa';

export interface Instruction {
  address: number;
  mnemonic: string;
  operands: string;
}

const LINE = /^\s*([0-9a-f]+):\s+((?:lock |rep |repz |bnd |notrack )*)(\S+)\s*(.*)$/;

/** The disassembly of an x86-64 library by address, and where its symbols begin. */
export class Disassembly {
  readonly #instructions = new Map<number, Instruction & { next: number }>();
  readonly #symbols = new Map<string, number>();

  constructor(text: string) {
    let before: (Instruction & { next: number }) | undefined;
    for (const line of text.split('\n')) {
      const [, start, symbol] = /^([0-9a-f]+) <(.+)>:$/.exec(line) ?? [];
      if (start !== undefined && symbol !== undefined) this.#symbols.set(symbol, Number.parseInt(start, 16));
      const [, at, prefix, mnemonic, operands] = LINE.exec(line) ?? [];
      if (at === undefined || mnemonic === undefined) continue;
      const address = Number.parseInt(at, 16);
      const instruction = { address, mnemonic: `${prefix}${mnemonic}`, operands: operands ?? '', next: -1 };
      if (before !== undefined) before.next = address;
      this.#instructions.set(address, instruction);
      before = instruction;
    }
  }

  static async of(library: string): Promise<Disassembly> {
    const { stdout } = await execa('objdump', ['--disassemble', '--no-show-raw-insn', '--section=.text', library]);
    const disassembly = new Disassembly(stdout);
    // The disassembly names an address once; libc's names are further names of our functions.
    const { stdout: names } = await execa('nm', ['--dynamic', '--defined-only', library]);
    for (const [, start = '', name = ''] of names.matchAll(/^([0-9a-f]+) \S (\S+)$/gm))
      disassembly.#symbols.set(name, Number.parseInt(start, 16));
    return disassembly;
  }

  /**
   * From the symbol to its `ret`, no conditional jump taken and every other jump followed.
   * @throws Error if the path calls another function or leaves the text
   */
  hotPath(symbol: string): Instruction[] {
    const path: Instruction[] = [];
    const seen = new Set<number>();
    let address = this.#symbols.get(symbol);
    if (address === undefined) throw new Error(`the library has no ${symbol}`);
    for (;;) {
      const instruction = this.#instructions.get(address);
      if (instruction === undefined || seen.has(address))
        throw new Error(`the path of ${symbol} does not end in a ret`);
      seen.add(address);
      path.push(instruction);
      if (instruction.mnemonic.endsWith('ret')) return path;
      if (instruction.mnemonic === 'call') throw new Error(`the hot path of ${symbol} calls ${instruction.operands}`);
      address = instruction.mnemonic === 'jmp' ? Number.parseInt(instruction.operands, 16) : instruction.next;
    }
  }
}

/** True for an atomic read-modify-write: a lock prefix, or xchg with memory, which locks by itself. */
export function isAtomicUpdate({ mnemonic, operands }: Instruction): boolean {
  return mnemonic.startsWith('lock') || (mnemonic.startsWith('xchg') && operands.includes('('));
}
