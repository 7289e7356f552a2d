import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DECLARED, FIELDS, SECTIONS } from '../../runtime/config/fields.ts';
import { configJsonSchema, printJsonSchema } from '../../runtime/config/json-schema.ts';
import { parseConfig } from '../../runtime/config/load.ts';
import { printConfig } from '../../runtime/config/print.ts';
import type { Config } from '../../runtime/config/schema.ts';

test('the printed default file reads back as the defaults', () => {
  expect(parseConfig({ file: { name: 'f', text: printConfig(DECLARED) } })).toEqual(parseConfig({}));
});

test('the printed default file names every key once, with its explanation above it', () => {
  const lines = printConfig(DECLARED).split('\n');
  for (const field of FIELDS) {
    expect(lines.filter((line) => line.startsWith(`${field.name} = `)).length, field.key).toBe(
      FIELDS.filter((other) => other.name === field.name).length,
    );
    expect(field.description, field.key).not.toBe('');
  }
  for (const section of SECTIONS) expect(lines).toContain(`[${section.name}]`);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(110);
});

test('any configuration is printed as a file that reads back as the same', () => {
  const config = parseConfig({}).config as Config;
  fc.assert(
    fc.property(
      fc.nat({ max: 64 * 1024 }),
      fc.integer({ min: 16, max: 16_000_000 }),
      fc.array(fc.string({ minLength: 1, unit: 'binary' }).filter((rule) => !/^\/|\/$/.test(rule))),
      fc.boolean(),
      (inline_limit, max_files, exclude, enabled) => {
        const changed: Config = {
          ...config,
          memory: { ...config.memory, max_files },
          store: { ...config.store, inline_limit },
          index: { ...config.index, exclude, enabled },
        };
        expect(parseConfig({ file: { name: 'f', text: printConfig(DECLARED, changed) } }).config).toEqual(
          changed,
        );
      },
    ),
  );
});

interface Table {
  properties?: Record<string, unknown>;
  additionalProperties?: boolean;
}

test('the JSON Schema describes every key and refuses unknown ones', () => {
  const schema = configJsonSchema() as {
    additionalProperties: boolean;
    properties: Record<string, Table & { anyOf?: Table[] }>;
  };
  expect(schema.additionalProperties).toBe(false);
  expect(schema.properties.workers?.additionalProperties).toBe(false);
  for (const { section, name } of FIELDS) {
    const { properties, anyOf } = schema.properties[section]!;
    const table = properties ?? anyOf!.at(-1)!.properties;
    expect(table?.[name], `${section}.${name}`).toHaveProperty('description');
  }
});

test('in the JSON Schema a section with a shorthand may be a plain value, and descriptions say what applies live', () => {
  const text = printJsonSchema();
  const { properties } = JSON.parse(text);
  expect(properties.placement.anyOf[0].enum).toEqual(['none', 'auto']);
  expect(properties.store.properties.commit_interval_ms.description).toMatch(/\(1 … 60000; live\)$/);
  expect(properties.memory.properties.budget.description).toMatch(/\(16MiB … 4GiB; needs a new mount\)$/);
  expect(text).not.toContain('"live"');
});

test('the printed default file points editors to the JSON Schema', () => {
  expect(printConfig(DECLARED).split('\n')[0]).toBe('#:schema ./vexfs.schema.json');
});
