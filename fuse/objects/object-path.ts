/** Where an object's file lies in the store: `objects/xx/ID`, ID in lower-case hexadecimal, xx its low byte. */
export const OBJECT_DIRECTORY = 'objects';

export function objectDirectory(id: number): string {
  return `${OBJECT_DIRECTORY}/${(id & 0xff).toString(16).padStart(2, '0')}`;
}

export function objectPath(id: number): string {
  return `${objectDirectory(id)}/${id.toString(16)}`;
}
