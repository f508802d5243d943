// An OpenID provider of an organisation, as `npm install oidc-provider` gives it,
// with its own log-in pages: whoever names an account is that account.
//
// The environment says where it listens, which keys it signs with (a JSON Web Key
// Set), and how long its ID tokens last, in seconds.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.MODULES + "/package.json");
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const redirect = process.env.REDIRECT;
const client = (id, alg) => ({
  client_id: id,
  client_secret: "a-secret-of-32-characters-0123456",
  redirect_uris: [redirect],
  response_types: ["code"],
  grant_types: ["authorization_code"],
  id_token_signed_response_alg: alg,
});

const groups = { ann: ["all", "owners"], bob: ["ops"], eve: ["guests"] };

const provider = new Provider(process.env.ISSUER, {
  jwks: JSON.parse(process.env.JWKS),
  cookies: { keys: ["a-key-for-cookies"] },
  clients: [client("keyward", "RS256"), client("another-program", "RS256"), client("by-secret", "HS256")],
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "HS256"] },
  claims: { openid: ["sub", "groups", "email"] },
  conformIdTokenClaims: false,
  ttl: { IdToken: Number(process.env.TTL), AccessToken: 60, AuthorizationCode: 60, Session: 600, Grant: 600, Interaction: 600 },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, groups: groups[id] ?? [], email: id + "@example.org" }),
  }),
});

const { port, hostname } = new URL(process.env.ISSUER);
provider.listen(Number(port), hostname, () => console.log("listening"));
