/**
 * A failure of the start that an operator can mend. Its message is one or two sentences which say what is wrong and
 * what to do; whoever starts the server prints the message alone, never a stack trace, and never a secret's value.
 */
export class StartError extends Error {
  override readonly name = 'StartError';
}
