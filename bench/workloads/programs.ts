import type { Workload } from '../model.ts';
export const programs: Workload[] = [];
