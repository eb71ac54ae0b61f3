// Time, for those who wait and for those who read.

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Milliseconds, as a person reads them; the unit stays with its number. */
export const seconds = (ms) => `${(ms / 1000).toFixed(1)}\u00a0s`;
