import { connect } from 'node:net';
import { uniqueLength } from './template.mjs';

/** A response that takes longer is an error. */
const answerMsMax = 30_000;

/**
 * A keep-alive HTTP/1.1 connection with at most one request in flight. It uses a plain socket and parses only
 * what the checks need, because the generator shares the machine's cores with the server that it measures.
 */
export class Connection {
  /** When the request in flight was due. @type {number} */
  #dueAt = 0;
  #isBusy = false;
  #isEnding = false;
  #received = '';
  #socket = null;
  #target;
  #bytes;

  /**
   * @param {object} target
   * @param {number} target.port
   * @param {import('./template.mjs').Template} target.template
   * @param {() => Buffer} target.nextSecret
   * @param {() => number} target.nextUnique
   * @param {readonly { text: string, count: number }[]} target.expect texts that each response must contain,
   *   and how often
   * @param {(connection: Connection, dueAt: number, problem: string | null) => void} target.onAnswer
   */
  constructor(target) {
    this.#target = target;
    this.#bytes = Buffer.from(target.template.text, 'utf8');
  }

  get isBusy() {
    return this.#isBusy;
  }

  /** @returns {Promise<void>} */
  open() {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: this.#target.port, host: '127.0.0.1', noDelay: true });
      this.#socket = socket;
      socket.once('connect', resolve);
      socket.once('error', reject);
      socket.on('data', (chunk) => this.#read(chunk));
      socket.on('error', () => undefined);
      socket.on('close', () => this.#closed());
    });
  }

  /** Sends the next request. @param {number} dueAt start of its latency */
  send(dueAt) {
    const { template, nextSecret, nextUnique } = this.#target;
    for (const { offset, kind } of template.holes) {
      if (kind === 'secret') nextSecret().copy(this.#bytes, offset);
      else this.#bytes.latin1Write(String(nextUnique()).padStart(uniqueLength, '0'), offset, uniqueLength);
    }
    this.#dueAt = dueAt;
    this.#isBusy = true;
    this.#socket.write(this.#bytes);
  }

  /** Fails the request in flight if it is overdue. @param {number} now */
  giveUpIfOverdue(now) {
    if (this.#isBusy && now - this.#dueAt > answerMsMax) this.#socket.destroy();
  }

  close() {
    this.#isEnding = true;
    this.#socket?.destroy();
  }

  /** @param {Buffer} chunk */
  #read(chunk) {
    this.#received = this.#received === '' ? chunk.latin1Slice() : this.#received + chunk.latin1Slice();
    const bodyAt = endOfAnswer(this.#received);
    if (bodyAt === -1) return;
    const answer = this.#received;
    this.#received = '';
    this.#finish(findProblem(answer, bodyAt, this.#target.expect));
  }

  /** @param {string | null} problem */
  #finish(problem) {
    this.#isBusy = false;
    this.#target.onAnswer(this, this.#dueAt, problem);
  }

  #closed() {
    if (this.#isEnding) return;
    this.#received = '';
    this.open()
      .catch(() => undefined)
      .then(() => {
        if (this.#isBusy) this.#finish('The connection was closed before the answer.');
      });
  }
}

/** Offset of the body if the response is complete, else -1. @param {string} received */
function endOfAnswer(received) {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return -1;
  const head = received.slice(0, headEnd);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  const bodyAt = headEnd + 4;
  if (length !== null) return received.length >= bodyAt + Number(length[1]) ? bodyAt : -1;
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return received.endsWith('0\r\n\r\n') ? bodyAt : -1;
  return bodyAt;
}

/**
 * @param {string} answer
 * @param {number} bodyAt
 * @param {readonly { text: string, count: number }[]} expect
 */
function findProblem(answer, bodyAt, expect) {
  // "HTTP/1.1 200 OK"
  if (answer.charCodeAt(9) !== 50) return answer.slice(0, 600);
  if (answer.includes('"errors":', bodyAt)) return answer.slice(bodyAt, bodyAt + 600);
  for (const { text, count } of expect) {
    let at = bodyAt;
    for (let found = 0; found < count; found += 1) {
      at = answer.indexOf(text, at);
      if (at === -1) return `${found} of ${count} times ${text} in ${answer.slice(bodyAt, bodyAt + 600)}`;
      at += text.length;
    }
  }
  return null;
}
