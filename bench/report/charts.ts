/** The charts of the page, drawn once as SVG: the page needs no program to show them. */

import type { EChartsOption } from 'echarts';
import * as echarts from 'echarts';
import { BASELINE, CONTROL, type Group, type Measured, OURS } from '../model.ts';
import { METRICS, type Metric, type MetricName, meanOf, medianOf, ratioOf } from '../statistics.ts';
import type { Curve } from '../workloads/growth.ts';

const WIDTH = 960;
const OURS_COLOUR = '#c8102e';
const COLOURS = ['#4269d0', '#6cc5b0', '#efb118', '#9c6b4e', '#a463f2', '#97bbf5', '#3ca951', '#ff8ab7'];
const TEXT = { fontFamily: 'system-ui, sans-serif', fontSize: 12 };

function draw(option: EChartsOption, height: number): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({ animation: false, textStyle: TEXT, backgroundColor: '#ffffff', ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** Ours and the rivals, each in one colour on all charts. */
export function allocatorsIn(results: readonly Measured[]): string[] {
  const names = new Set(results.flatMap((measured) => [...measured.samples.keys()]));
  return [...names].filter((name) => name !== CONTROL);
}

export function colourOf(name: string, names: readonly string[]): string {
  if (name === OURS) return OURS_COLOUR;
  const place = names.filter((other) => other !== OURS).indexOf(name);
  return COLOURS[place % COLOURS.length] ?? '#888888';
}

/** All allocators, by time and memory, each a share of the system's: the nearer to the corner the better. */
export function summaryChart(results: readonly Measured[], date: Date): string {
  const names = allocatorsIn(results);
  const mean = (name: string, metric: Metric) =>
    meanOf(results.map((measured) => ratioOf(measured, name, BASELINE, metric)));
  const points = names.flatMap((name) => {
    const time = mean(name, METRICS.cpu);
    const memory = mean(name, METRICS.rss);
    return time === undefined || memory === undefined ? [] : [{ name, value: [time, memory] }];
  });
  const axis = (name: string) => ({
    type: 'value' as const,
    name,
    nameLocation: 'middle' as const,
    nameGap: 32,
    scale: true,
    // Room for the point that lies lowest, and for its name.
    min: ({ min }: { min: number }) => Math.floor((min - 0.1) * 10) / 10,
  });
  return draw(
    {
      title: {
        text: 'Time and memory',
        subtext: `geometric means of ${results.length} workloads, ${BASELINE} = 1; less is better; ${date.toISOString().slice(0, 10)}`,
        left: 'center',
      },
      grid: { left: 70, right: 110, top: 70, bottom: 60 },
      xAxis: axis('CPU time'),
      yAxis: axis('peak resident memory'),
      series: points.map(({ name, value }) => ({
        type: 'scatter',
        name,
        data: [value],
        symbolSize: name === OURS ? 18 : 12,
        itemStyle: { color: colourOf(name, names) },
        label: {
          show: true,
          position: name === OURS ? 'top' : 'right',
          formatter: name,
          fontWeight: name === OURS ? 'bold' : 'normal',
        },
      })),
    },
    460,
  );
}

/** Every workload of a group: each allocator's median, ours being 1, on a logarithmic axis. */
export function groupChart(group: Group, metric: MetricName, results: readonly Measured[]): string {
  const title = metric === 'rss' ? 'peak resident memory' : 'CPU time';
  return ratioChart(`${group}: ${title}`, METRICS[metric], results);
}

/** The same for any metric. */
export function ratioChart(title: string, metric: Metric, results: readonly Measured[]): string {
  const names = allocatorsIn(results).filter((name) => name !== OURS);
  const rows = [...results].reverse();
  // Many names take two lines.
  const top = names.length > 7 ? 136 : 110;
  return draw(
    {
      title: {
        text: title,
        subtext: `ours = 1; to the right of the line: needs more than ours`,
        left: 'center',
      },
      legend: { top: 58, itemGap: 28 },
      grid: { left: 320, right: 40, top, bottom: 40 },
      xAxis: { type: 'log', logBase: 2, min: 0.25, axisLabel: { formatter: '{value}' }, splitLine: { show: true } },
      yAxis: {
        type: 'category',
        data: rows.map((measured) => measured.workload.name),
        axisTick: { show: false },
        splitLine: { show: true },
      },
      series: [
        ...names.map((name) => ({
          type: 'scatter' as const,
          name,
          symbolSize: 9,
          itemStyle: { color: colourOf(name, allocatorsIn(results)), opacity: 0.85 },
          data: rows.map((measured, row) => [clamp(ratioOf(measured, name, OURS, metric)), row]),
          ...(name === names[0] ? { markLine: oursLine() } : {}),
        })),
      ],
    },
    top + 40 + rows.length * 22,
  );
}

/** Off the scale is drawn at its end. */
const clamp = (ratio: number | undefined): number | string =>
  ratio === undefined ? '-' : Math.min(Math.max(ratio, 0.26), 100);

function oursLine() {
  return {
    silent: true,
    symbol: 'none',
    data: [{ xAxis: 1 }],
    lineStyle: { color: OURS_COLOUR, width: 2, type: 'solid' as const },
    label: { formatter: OURS, color: OURS_COLOUR, position: 'end' as const },
  };
}

/** One curve of the growth group: cost of an operation, for each allocator. */
export function curveChart(curve: Curve, results: readonly Measured[]): string | undefined {
  const points = curve.points.flatMap(({ at, workload }) => {
    const measured = results.find((candidate) => candidate.workload.name === workload.name);
    return measured === undefined ? [] : [{ at, measured }];
  });
  if (points.length < 2) return undefined;
  const cost: Metric = (sample) => Number(sample.figures['ns_per_op']);
  return lineChart(
    curve.title,
    {
      name: curve.axis,
      type: 'log',
      logBase: 2,
      min: points[0]?.at,
      max: points.at(-1)?.at,
      axisLabel: { formatter: (value: number) => shortNumber(value, curve.axis) },
    },
    { name: 'ns of CPU time per operation', type: 'log' },
    allocatorsIn(points.map(({ measured }) => measured)).map((name) => ({
      name,
      data: points.map(({ at, measured }) => [at, medianOf(measured, name, cost) ?? '-']),
    })),
  );
}

/** A figure that the program printed as a series over its life. */
export function ageChart(title: string, measured: Measured, key: string, unit: string): string {
  const names = allocatorsIn([measured]);
  return lineChart(
    title,
    { name: 'share of its life', type: 'value', max: 1 },
    { name: unit, type: 'value', scale: true },
    names.map((name) => {
      const values = measured.samples.get(name)?.[0]?.figures[key];
      const series = Array.isArray(values) ? values : [];
      return { name, data: series.map((value, i) => [(i + 1) / series.length, value]) };
    }),
  );
}

type Axis = Record<string, unknown>;

function lineChart(title: string, x: Axis, y: Axis, lines: { name: string; data: (number | string)[][] }[]): string {
  const names = lines.map((line) => line.name);
  const middle = { nameLocation: 'middle', nameGap: 40 };
  return draw(
    {
      title: { text: title, left: 'center' },
      legend: { top: 40, itemGap: 28 },
      grid: { left: 80, right: 40, top: 76, bottom: 60 },
      xAxis: { ...x, ...middle, nameGap: 30 },
      yAxis: { ...y, ...middle },
      series: lines.map(({ name, data }) => ({
        type: 'line',
        name,
        data,
        symbolSize: 4,
        lineStyle: { width: name === OURS ? 3.5 : 1.5 },
        itemStyle: { color: colourOf(name, names) },
        z: name === OURS ? 5 : 2,
      })),
    } as EChartsOption,
    420,
  );
}

function shortNumber(value: number, axis: string): string {
  if (axis !== 'bytes') return String(value);
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const place = Math.min(Math.floor(Math.log2(value) / 10), units.length - 1);
  return `${value / 1024 ** place} ${units[place]}`;
}
