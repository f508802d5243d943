// Reads one message in base64 a line, and writes what JavaScript takes it for.
'use strict';

const hex = (s) => Buffer.from(s, 'utf8').toString('hex');

function text(v) {
  if (v === null || v === undefined) return 'z';
  if (v === true) return 't';
  if (v === false) return 'f';
  if (typeof v === 'number') {
    const b = Buffer.alloc(8);
    b.writeDoubleBE(v + 0);
    return 'n' + b.toString('hex');
  }
  if (typeof v === 'string') return 's' + hex(v);
  if (Array.isArray(v)) return '[' + v.map(text).join(',') + ']';
  return '{' + Object.keys(v).map((k) => text(k) + ':' + text(v[k])).sort().join(',') + '}';
}

const out = [];
for (const line of require('fs').readFileSync(0, 'latin1').split('\n')) {
  if (line === '') continue;
  try {
    const m = JSON.parse(Buffer.from(line, 'base64').toString('utf8'));
    const p = m.params || {};
    out.push(text([m.method, ...(m.method === 'tools/call' ? [p.name, p.arguments] : [])]));
  } catch (e) {
    out.push('error ' + e.name);
  }
}
process.stdout.write(out.join('\n') + '\n');
