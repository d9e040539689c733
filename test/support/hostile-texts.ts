/** Texts that somebody may enter into a field to do harm, or by mistake. */
export const HOSTILE_TEXTS: readonly string[] = [
  '',
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  'javascript:alert(1)',
  '../../etc/passwd',
  '%2e%2e%2f',
  '\u0000',
  'a\r\nset-cookie: x=y',
  '\u202egnp.exe',
  '\ud800',
  '{{7*7}}',
  "' OR 1=1 --",
  '__proto__',
  'constructor',
  'x'.repeat(100_000),
  '𝕊𝕙𝕠𝕡',
]
