import { expect, test } from 'vitest';
import { readMappingCsv } from '../../../src/connections/mapping/read-csv.ts';

test('commas, semicolons or tabs; quotes, byte order mark and any line end', () => {
  const expected = [
    { line: 2, member: 'anna@a.example', zoomUser: 'Z,1' },
    { line: 3, member: 'ben@a.example', zoomUser: null },
  ];
  for (const [separator, end] of [
    [',', '\n'],
    [';', '\r\n'],
    ['\t', '\r'],
  ] as const) {
    const text =
      ['\uFEFFMember', ' zoom_user '].join(separator) + end + ['anna@a.example', '"Z,1"'].join(separator) + end;
    const read = readMappingCsv(`${text}"ben@a.example"${separator}NONE${end}${end}`);
    expect(read).toEqual({ wishes: expected, problems: [], blank: 0, ignoredColumns: [] });
  }
});

test('a line that cannot be read is named by its number; an empty Zoom user is left alone', () => {
  const read = readMappingCsv('member_id,zoom_user_id,note\nm1,z1\nm2,,x\n,z3,\n"m\n""4""",z4,x\nm5,z5,"y\nm6,z6,');
  expect(read.problems).toEqual([
    { line: 7, problem: 'a quote is never closed; nothing after it was read' },
    { line: 2, problem: 'expected 3 fields, got 2' },
    { line: 4, problem: 'expected a member, got an empty field' },
  ]);
  expect(read).toMatchObject({
    blank: 1,
    ignoredColumns: ['note'],
    wishes: [{ line: 5, member: 'm\n"4"', zoomUser: 'z4' }],
  });
});

test('ids go before addresses where a file has both, whatever the order of its columns', () => {
  const text =
    'zoom_user_email,member_email,zoom_user_id,member_id\nz@z.example,m@m.example,z1,m1\nz@z.example,m@m.example,,';
  expect(readMappingCsv(text).wishes).toEqual([
    { line: 2, member: 'm1', zoomUser: 'z1' },
    { line: 3, member: 'm@m.example', zoomUser: 'z@z.example' },
  ]);
});

test('a file without the header, or nothing at all, is refused', () => {
  expect(readMappingCsv('m1,z1\nm2,z2').problems).toEqual([
    { line: 1, problem: expect.stringContaining('expected a header with one of member_id') },
  ]);
  expect(readMappingCsv('')).toMatchObject({ wishes: [], problems: [{ line: 1 }] });
});
