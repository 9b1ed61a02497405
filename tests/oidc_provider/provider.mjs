// The certified provider that nobody here wrote, on loopback, with one client: ourselves.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { Provider } from 'oidc-provider';

export const CLIENT = 'members-portal';
export const SECRET = 'a secret: with/reserved+characters&more=';

/** A key for RS256, as it is kept. */
function key(kid) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
}

/** The provider at `port`, for the portal at `portal`; it can be started again with other keys. */
export class Certified {
  #keys = [key('first')];

  #server;

  constructor(port, portal) {
    this.port = port;
    this.portal = portal;
    this.issuer = `http://127.0.0.1:${port}`;
    /** What the provider granted, by grant type. */
    this.granted = [];
    /** Who has another name than usual, and who is gone. */
    this.names = new Map();
    this.gone = new Set();
  }

  async start() {
    const { portal } = this;
    const provider = new Provider(this.issuer, {
      clients: [{
        client_id: CLIENT,
        client_secret: SECRET,
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: ['plain', 'posted', 'renewed'].map((name) => `${portal}/.auth/login/${name}/callback`),
        post_logout_redirect_uris: [`${portal}/.auth/logout/done`],
        backchannel_logout_uri: `${portal}/.auth/back-channel-logout/plain`,
        backchannel_logout_session_required: true,
      }],
      jwks: { keys: this.#keys },
      features: { backchannelLogout: { enabled: true } },
      // By itself it talks to no address of this machine; here the portal is one.
      fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
      cookies: { keys: ['of the tests'] },
      // Claims belong into the ID token: nobody asks for userinfo.
      conformIdTokenClaims: false,
      claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
      scopes: ['openid', 'offline_access'],
      findAccount: (_, id) => (this.gone.has(id) ? undefined : {
        accountId: id,
        claims: () => ({ sub: id, email: `${id}@club.example`, name: this.names.get(id) ?? `Member ${id}` }),
      }),
      pkce: { required: () => true },
      ttl: { Session: 3600, Interaction: 600, Grant: 3600, IdToken: 3600, AccessToken: 600, AuthorizationCode: 60, RefreshToken: 3600 },
    });
    provider.on('grant.success', (ctx) => this.granted.push(ctx.oidc.params.grant_type));
    provider.on('grant.error', (_, error) => this.granted.push(error.message));
    this.#server = provider.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** From now on this key signs; the ones before stay published if `keep` says so. */
  async rotate(kid, keep) {
    await this.stop();
    this.#keys = [key(kid), ...(keep ? this.#keys : [])];
    await this.start();
  }
}
