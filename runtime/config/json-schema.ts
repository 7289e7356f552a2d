/** The JSON Schema (draft 7) of the configuration file, for completion and checks in editors. */
import { FIELDS, type Property } from './fields.ts';
import { declaredJsonSchema } from './schema.ts';

export function configJsonSchema(): Record<string, unknown> {
  const declared = declaredJsonSchema() as { properties: Record<string, Property> };
  const properties = Object.entries(declared.properties).map(([name, section]) => [
    name,
    forEditors(name, section),
  ]);
  return { ...declared, title: 'VexFS', properties: Object.fromEntries(properties) };
}

/** Our own marks as words of the description; a section with a shorthand may be a plain value. */
function forEditors(name: string, section: Property): object {
  const { shorthand, ...table } = section;
  const keys = Object.entries(section.properties ?? {}).map(([key, { live: _, size: __, ...property }]) => {
    const { description, range, isLive } = FIELDS.find((field) => field.key === `${name}.${key}`)!;
    const notes = [range, isLive ? 'live' : 'needs a new mount'].filter((note) => note !== '').join('; ');
    return [key, { ...property, description: `${description} (${notes})` }];
  });
  const described = { ...table, properties: Object.fromEntries(keys) as Record<string, Property> };
  if (shorthand === undefined) return described;
  return { description: section.description, anyOf: [described.properties[shorthand], described] };
}

/** The text of the schema's file. */
export function printJsonSchema(): string {
  return `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`;
}
