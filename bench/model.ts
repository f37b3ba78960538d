/** What the parts of the bench hand to each other. */

export const GROUPS = ['patterns', 'programs', 'node', 'memory', 'latency', 'growth', 'pool'] as const;
export type Group = (typeof GROUPS)[number];

/** The allocator that the bench is about; all others are rivals. */
export const OURS = 'buddymalloc';
/** The system's own allocator, and the same once more: how far the two are apart is the machine's noise. */
export const BASELINE = 'glibc';
export const CONTROL = 'glibc again';

/** An allocator, and the library to preload for it; none for the system's own. */
export interface Allocator {
  name: string;
  library?: string;
}

/** Folders that a workload may read and write, and how much of the full work it is to do. */
export interface Place {
  /** The compiled C patterns. */
  patterns: string;
  /** The compiled Node programs. */
  node: string;
  /** Inputs that `prepare` generates; the same in every run. */
  inputs: string;
  /** True for `--quick`: a shorter version of the work. */
  quick: boolean;
}

/** One program to start, with the allocator preloaded in it alone. */
export interface Command {
  program: string;
  args: string[];
  folder?: string;
  settings?: Record<string, string>;
  /** Start it so many times, one after the other: times are means of one, the peak is the largest. */
  repeat?: number;
  /** Drives the program from outside, for one that serves; ends when the program may end. */
  client?: () => Promise<void>;
}

export interface Workload {
  name: string;
  group: Group;
  what: string;
  /** Part of `--quick`. */
  quick: boolean;
  /** Programs that have to be on the path. */
  needs?: string[];
  /** Modules that have to be installed for the Node programs; `--install` does. */
  needsModules?: string[];
  /** At most so many rounds, where one round takes long. */
  roundsMax?: number;
  /** True if the program is linked with an allocator of its own: the system's has then to be preloaded too. */
  linkedWithAllocator?: boolean;
  /**
   * What is compared, where it is no allocator to preload but a way to do the same work within the program: the first is
   * ours. `command` is given one of them.
   */
  ways?: readonly string[];
  prepare?(place: Place): Promise<void>;
  command(place: Place, way: string): Command;
}

/** One run: what the launcher measured, and the figures that the program itself printed as JSON. */
export interface Sample {
  wallSeconds: number;
  cpuSeconds: number;
  rssPeakBytes: number;
  minorFaults: number;
  figures: Record<string, number | number[]>;
}

/** All runs of one workload: samples by allocator, in the order of the rounds; or why there are none. */
export interface Measured {
  workload: Workload;
  samples: Map<string, Sample[]>;
  /** By allocator: why it has no figures here. */
  failures: Map<string, string>;
}
