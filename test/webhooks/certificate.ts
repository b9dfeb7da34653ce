/** A certificate that nobody trusts but whoever is told to, for hooks.example.com. It was made for these tests, and is of no use elsewhere. */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBrDCCAVOgAwIBAgIUbWfLBSiPXet9cFrFR6Y2NVkqSIYwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRaG9va3MuZXhhbXBsZS5jb20wIBcNMjYxMTIwMjEwMTU4WhgP
MjEyNjEwMjcyMTAxNThaMBwxGjAYBgNVBAMMEWhvb2tzLmV4YW1wbGUuY29tMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESh5jmGSqCpKfvnf/uucn/b3PEzFa2no4
tM7Vio0TQpkxPhQKg0DI6tkjaRpsUlDrVJIqvak6hfVweYc52jM/rKNxMG8wHQYD
VR0OBBYEFJiufCGVruqKmnGj1NdngAkIyOsNMB8GA1UdIwQYMBaAFJiufCGVruqK
mnGj1NdngAkIyOsNMA8GA1UdEwEB/wQFMAMBAf8wHAYDVR0RBBUwE4IRaG9va3Mu
ZXhhbXBsZS5jb20wCgYIKoZIzj0EAwIDRwAwRAIgaK1L9foiAPFM91/g0zhSMe3K
NWfUVGuV1/Zm3c+ynLMCIFoVKVyCTWsKWDv0AnlsFlnxA2pvDWZJJaYxC9gqcyA/
-----END CERTIFICATE-----`;

export const privateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgw4iWBlUD7+/seOCJ
S+jcIURzOMn+doO2vjFrU5mnDeGhRANCAARKHmOYZKoKkp++d/+65yf9vc8TMVra
eji0ztWKjRNCmTE+FAqDQMjq2SNpGmxSUOtUkiq9qTqF9XB5hznaMz+s
-----END PRIVATE KEY-----`;
