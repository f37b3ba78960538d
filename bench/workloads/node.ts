import type { Workload } from '../model.ts';
export const nodePrograms: Workload[] = [];
