import type { ProductFile } from '../product.js';
import { craftkit } from './craftkit.js';
import { defaultProduct } from './default.js';
import { makepay } from './makepay.js';
import { makistry } from './makistry.js';
import { makra } from './makra.js';
import { masko } from './masko.js';

/** The products that come with the server, by name. */
export const presets: ReadonlyMap<string, ProductFile> = new Map<string, ProductFile>([
  ['default', defaultProduct],
  ['makistry', makistry],
  ['makra', makra],
  ['masko', masko],
  ['makepay', makepay],
  ['craftkit', craftkit],
]);
