/**
 * Circles of an import graph, each once, as the files on it in order. Type imports count too: files that need each
 * other's types are one responsibility in two places.
 */
export function findCircles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found = new Map<string, string[]>();
  const finished = new Set<string>();
  const path: string[] = [];
  const walk = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      const circle = path.slice(at);
      found.set([...circle].sort().join(), circle);
      return;
    }
    if (finished.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) walk(next);
    path.pop();
    finished.add(file);
  };
  for (const file of graph.keys()) walk(file);
  return [...found.values()];
}
