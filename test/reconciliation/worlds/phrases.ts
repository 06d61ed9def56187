/** Phrases of a cell: divided by commas, code marks taken off. */
export const phrases = (cell: string): string[] =>
  cell
    .replaceAll('`', '')
    .split(',')
    .map((phrase) => phrase.trim())
    .filter((phrase) => phrase !== '');

/** What a phrase may look like, and what it makes of the value read so far. */
export type Phrasebook<Value> = readonly (readonly [RegExp, (value: Value, ...words: string[]) => Value])[];

/** Applies each phrase to the value; a phrase that is not in the book is refused. */
export function read<Value>(book: Phrasebook<Value>, from: Value, cell: string): Value {
  return phrases(cell).reduce((value, phrase) => readPhrase(book, value, phrase), from);
}

/** Applies one phrase. */
export function readPhrase<Value>(book: Phrasebook<Value>, value: Value, phrase: string): Value {
  const next = tryPhrase(book, value, phrase);
  if (next === undefined)
    throw new Error(`expected a phrase of the vocabulary, got "${phrase}"; see "How to write a world"`);
  return next;
}

/** Applies one phrase if the book knows it. */
export function tryPhrase<Value>(book: Phrasebook<Value>, value: Value, phrase: string): Value | undefined {
  for (const [pattern, apply] of book) {
    const found = pattern.exec(phrase);
    if (found && found[0] === phrase) return apply(value, ...found.slice(1));
  }
  return undefined;
}
