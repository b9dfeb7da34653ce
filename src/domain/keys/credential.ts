/** The credential of a customer's request, not validated. Absent parts are empty strings. */
export type Credential =
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'pair'; readonly keyId: string; readonly secret: string };
