import { afterAll } from 'vitest';
import { closeOwnServers } from './harness.js';

afterAll(closeOwnServers);
