/** What a request says before its body: all that deciding about it needs. A WHATWG Request is one; the direct transport makes its own. */
export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly headers: {
    get(name: string): string | null;
    has(name: string): boolean;
  };
}
