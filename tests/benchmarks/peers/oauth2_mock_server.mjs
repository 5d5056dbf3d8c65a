// npm's oauth2-mock-server, with one RS256 key.
import { createRequire } from "node:module";

const { OAuth2Server } = createRequire(`${process.cwd()}/`)("oauth2-mock-server");
const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(0, "127.0.0.1");
console.log(`http://127.0.0.1:${server.address().port}/token`);
