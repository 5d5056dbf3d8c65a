// npm's oidc-provider, for client credentials and access tokens that are JWTs by RS256.
import { generateKeyPairSync } from "node:crypto";
import { pathToFileURL } from "node:url";

const { default: Provider } = await import(
  pathToFileURL(`${process.cwd()}/node_modules/oidc-provider/lib/index.js`)
);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const api = { scope: "ingr.api", accessTokenFormat: "jwt", accessTokenTTL: 3600, jwt: { sign: { alg: "RS256" } } };
const provider = new Provider("http://127.0.0.1", {
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "1", use: "sig", alg: "RS256" }] },
  scopes: ["ingr.api"],
  clients: [
    {
      client_id: "my-client",
      client_secret: "my-secret",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:api",
      getResourceServerInfo: () => api,
      useGrantedResource: () => true,
    },
  },
});
const server = provider.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/token`));
