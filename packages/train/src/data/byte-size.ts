const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  KI: 2 ** 10,
  MI: 2 ** 20,
  GI: 2 ** 30,
  TI: 2 ** 40,
};

/** Bytes from a number with a unit: `512M`, `2G`, `1.5GB` by powers of 1000, `512MiB` by powers of 1024. */
export function parseByteSize(text: string): number | undefined {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*$/i.exec(text) ?? [];
  const factor = UNITS[unit?.toUpperCase() ?? ''];
  return number === undefined || factor === undefined ? undefined : Math.floor(Number(number) * factor);
}
