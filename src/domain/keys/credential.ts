/** What a customer's request presented, before anybody has looked at it. Absent parts are empty strings. */
export type Credential =
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'pair'; readonly keyId: string; readonly secret: string };
