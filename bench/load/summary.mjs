/**
 * @typedef {{ perSecond: number, completed: number, seconds: number, p50Ms: number, p99Ms: number, maxMs:
 *   number }} Summary
 */

/** @param {{ latencies: number[], completed: number, seconds: number }} window @returns {Summary} */
export function summarize({ latencies, completed, seconds }) {
  const sorted = Float64Array.from(latencies).sort();
  return {
    perSecond: completed / seconds,
    completed,
    seconds,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? Number.NaN,
  };
}

/**
 * The smallest value that at least this share of all values does not exceed.
 * @param {Float64Array} sorted
 * @param {number} share
 */
function percentile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}
