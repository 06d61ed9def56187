/** Points of one line: size and seconds. */
export type Line = { readonly name: string; readonly points: readonly (readonly [size: number, seconds: number])[] };

const colours = ['#0b5cff', '#555555', '#c2410c', '#15803d'];
const [width, height, left, right, top, bottom] = [640, 400, 70, 20, 40, 90];

const decades = (values: readonly number[]): readonly [number, number] => [
  Math.floor(Math.log10(Math.min(...values))),
  Math.max(Math.ceil(Math.log10(Math.max(...values))), Math.floor(Math.log10(Math.min(...values))) + 1),
];

const timeText = (power: number): string =>
  power >= 0
    ? `${(10 ** power).toLocaleString('en-US')} s`
    : power >= -3
      ? `${10 ** (power + 3)} ms`
      : `${10 ** (power + 6)} µs`;

/** Cost against size, both axes logarithmic, as an SVG that needs nothing else. */
export function plotCost(title: string, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  const [x0, x1] = decades(all.map(([size]) => size));
  const [y0, y1] = decades(all.map(([, seconds]) => seconds));
  const x = (size: number): number => left + ((Math.log10(size) - x0) / (x1 - x0)) * (width - left - right);
  const y = (seconds: number): number =>
    height - bottom - ((Math.log10(seconds) - y0) / (y1 - y0)) * (height - top - bottom);
  const at = (value: number): string => value.toFixed(1);
  const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const grid = [
    ...range(x0, x1).map(
      (power) =>
        `<line x1="${at(x(10 ** power))}" x2="${at(x(10 ** power))}" y1="${top}" y2="${height - bottom}" stroke="#ddd"/><text x="${at(x(10 ** power))}" y="${height - bottom + 18}" text-anchor="middle">${(10 ** power).toLocaleString('en-US')}</text>`,
    ),
    ...range(y0, y1).map(
      (power) =>
        `<line x1="${left}" x2="${width - right}" y1="${at(y(10 ** power))}" y2="${at(y(10 ** power))}" stroke="#ddd"/><text x="${left - 8}" y="${at(y(10 ** power) + 4)}" text-anchor="end">${timeText(power)}</text>`,
    ),
  ];
  const drawn = lines.map(({ name, points }, index) => {
    const colour = colours[index % colours.length];
    const path = points.map(([size, seconds]) => `${at(x(size))},${at(y(seconds))}`).join(' ');
    const dots = points
      .map(([size, seconds]) => `<circle cx="${at(x(size))}" cy="${at(y(seconds))}" r="3.5" fill="${colour}"/>`)
      .join('');
    const legend = `<rect x="${left}" y="${height - bottom + 30 + index * 16}" width="12" height="3" fill="${colour}"/><text x="${left + 20}" y="${height - bottom + 36 + index * 16}">${name}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots}${legend}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}" font-family="sans-serif" font-size="12"><title>${title}</title><rect width="${width}" height="${height}" fill="#fff"/><text x="${left}" y="22" font-size="15">${title}</text>
${[...grid, ...drawn].join('\n')}
</svg>
`;
}
