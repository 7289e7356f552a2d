import { closest, distance } from 'fastest-levenshtein';

/** What was probably meant: a name that begins so, or one with few other letters; undefined = nothing is near. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  const begun = name.length > 1 ? names.find((one) => one.startsWith(name)) : undefined;
  if (begun !== undefined) return begun;
  const nearest = closest(name, names);
  return distance(name, nearest) <= Math.min(3, Math.ceil(name.length / 2)) ? nearest : undefined;
}

/** 'did you mean NAME?' with a space behind it, or nothing. */
export function guess(name: string, names: readonly string[]): string {
  const nearest = nearestName(name, names);
  return nearest === undefined ? '' : `did you mean ${nearest}? `;
}
