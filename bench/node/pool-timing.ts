/** Times a call with mitata, and prints what one costs: by the clock, and in processor time of all of Node's threads. */
import { measure } from 'mitata';

/** Of a single call: so many between two looks at the clock, however slow the first is. */
const BATCH = { batch_samples: 512, batch_threshold: 1e8, warmup_threshold: 1e8 };

/** @param calls how often `fn` does what is measured: more than 1 of one that waits for the event loop */
export async function time(fn: () => void | Promise<void>, milliseconds: number, calls = 1): Promise<void> {
  const options = { min_cpu_time: milliseconds * 1e6, ...(calls === 1 ? BATCH : {}) };
  const before = process.cpuUsage();
  const { avg, p99, ticks } = await measure(fn, options);
  const { user, system } = process.cpuUsage(before);
  const cpu = ((user + system) * 1000) / (ticks * calls);
  console.log(JSON.stringify({ ns: avg / calls, ns_p99: p99 / calls, cpu_ns: cpu }));
}
