/** Every segment of the log by itself, whether a recovery needs it or not: checksums, order, and where it ends. */
import { readSegmentHeader, replayLog } from '../../actors/io/log-recovery.ts';
import { LOG_DIRECTORY, listSegments, segmentPath } from '../../actors/log-files.ts';
import { RESERVE_FILE } from '../../actors/log-reserve.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import type { Findings, Progress } from './findings.ts';
import { narrowed } from './narrowed-disk.ts';

export interface LogCheck {
  readonly segments: readonly number[];
  /** LSN of the first record there is; 0 when there is none, or none that can be read. */
  readonly firstLsn: number;
  readonly records: number;
  /** Whether a segment is damaged or missing, so that records may be lost. */
  readonly isBroken: boolean;
}

export function checkLog(disk: Disk, uuid: Uint8Array, findings: Findings, progress: Progress): LogCheck {
  const names = disk.list(LOG_DIRECTORY);
  const segments = listSegments(disk);
  if (typeof names === 'number' || typeof segments === 'number') {
    findings.problem({ file: LOG_DIRECTORY, what: 'the directory of the log cannot be read' });
    return { segments: [], firstLsn: 0, records: 0, isBroken: true };
  }
  for (const name of names.filter((name) => !/^\d{8}\.log$/.test(name))) {
    const file = `${LOG_DIRECTORY}/${name}`;
    if (file !== RESERVE_FILE) findings.note({ file, what: 'is no segment of the log; nothing reads it' });
  }
  const before = findings.count;
  let firstLsn = 0;
  let records = 0;
  let next = 0;
  for (const [at, sequence] of segments.entries()) {
    progress('log', at, segments.length);
    const file = segmentPath(sequence);
    const header = readSegmentHeader(disk, sequence, uuid);
    if ('reason' in header) {
      findings.problem({ file, offset: header.offset, what: header.reason });
      next = 0;
      continue;
    }
    firstLsn ||= header.firstLsn;
    if (next !== 0 && header.firstLsn !== next) {
      const what = `begins with record ${header.firstLsn}, the segment before it ends with ${next - 1}`;
      findings.problem({ file, offset: 24, what });
    }
    const alone = narrowed(disk, LOG_DIRECTORY, [file.slice(LOG_DIRECTORY.length + 1)]);
    const outcome = replayLog(alone, uuid, header.firstLsn - 1, () => {});
    if (typeof outcome === 'number') continue;
    const { damage, tail, tornBytes } = outcome;
    records += outcome.records;
    if (damage !== undefined) findings.problem({ file, offset: damage.offset, what: damage.reason });
    else if (tornBytes > 0) {
      const place = { file, offset: tail!.bytes };
      const what = `${tornBytes} bytes of a transaction that was not finished`;
      if (at < segments.length - 1)
        findings.problem({ ...place, what: `${what}, though a later segment follows` });
      else findings.note({ ...place, what: `${what}; the next mount drops them` });
    }
    next = damage === undefined ? outcome.lastLsn + 1 : 0;
  }
  return { segments, firstLsn, records, isBroken: findings.count > before };
}
