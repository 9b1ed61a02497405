// MSAL for Node against the emulator: each step has to end as it does at Microsoft's.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfidentialClientApplication, CryptoProvider } from "@azure/msal-node";

const EMULATOR = process.env.EMULATOR;
const CLIENT = "5d2e8b91-7f06-4c3a-a1d4-6b9c0e8f2a75";
const SECRET = "a secret~ with/reserved+characters=";
const ENTRA = `${EMULATOR}/0a6f3d18-92c4-4b7e-8d51-c3e9f7a2b640`;
const B2C = `${EMULATOR}/contoso.onmicrosoft.com/B2C_1_signupsignin`;
const MEMBER = "member@0a6f3d18.example";
const PORTAL = "http://127.0.0.1:8080/.auth/login";

const application = (authority, credential = { clientSecret: SECRET }) =>
  new ConfidentialClientApplication({
    auth: { clientId: CLIENT, authority, knownAuthorities: [new URL(EMULATOR).host], ...credential },
  });

/** Fills in the form as a browser would; the parameters of the way back. */
async function signIn(url, username) {
  const page = await fetch(url);
  const html = await page.text();
  assert.match(html, /EMULATOR – not Microsoft/);
  const action = html.match(/<form method="post" action="([^"]*)"/)[1].replaceAll("&#38;", "&").replaceAll("&#61;", "=");
  const body = new URLSearchParams({ username, password: "demo" });
  const back = await fetch(new URL(action, url), { method: "POST", body, redirect: "manual" });
  assert.equal(back.status, 302, await back.text());
  return new URL(back.headers.get("location")).searchParams;
}

async function logIn(app, scopes, provider, username) {
  const crypto = new CryptoProvider();
  const { verifier, challenge } = await crypto.generatePkceCodes();
  const [state, nonce] = [crypto.createNewGuid(), crypto.createNewGuid()];
  const request = { scopes, redirectUri: `${PORTAL}/${provider}/callback` };
  const url = await app.getAuthCodeUrl({
    ...request, state, nonce, codeChallenge: challenge, codeChallengeMethod: "S256", responseMode: "query",
  });
  const back = await signIn(url, username);
  assert.equal(back.get("state"), state);
  return app.acquireTokenByCode(
    { ...request, code: back.get("code"), codeVerifier: verifier, state, nonce }, { code: back.get("code"), state },
  );
}

const refresh = (app, scopes, account) => app.acquireTokenSilent({ scopes, account, forceRefresh: true });

async function tell(kind, words) {
  const answer = await fetch(`${EMULATOR}/_emulator/${kind}`, { method: "POST", body: new URLSearchParams(words) });
  assert.equal(answer.status, 200, await answer.text());
}

const steps = {
  async "Entra signs in and refreshes"() {
    const app = application(ENTRA);
    const scopes = ["User.Read"];
    const result = await logIn(app, scopes, "corporate", MEMBER);
    assert.equal(result.account.username, MEMBER);
    assert.equal(result.idTokenClaims.iss, `${ENTRA}/v2.0`);
    const renewed = await refresh(app, scopes, result.account);
    assert.notEqual(renewed.accessToken, result.accessToken);
    assert.equal(renewed.fromCache, false);
    await tell("set", { revoke: MEMBER });
    await assert.rejects(refresh(app, scopes, result.account), /invalid_grant.*50173|50173/s);
  },
  async "B2C signs in and refreshes"() {
    const app = application(B2C);
    const result = await logIn(app, [CLIENT], "members", "member@mail.example");
    assert.equal(result.idTokenClaims.tfp, "B2C_1_signupsignin");
    const renewed = await refresh(app, [CLIENT], result.account);
    assert.notEqual(renewed.accessToken, result.accessToken);
  },
  async "a certificate stands in for the secret"() {
    const certificate = (name) => {
      const [privateKey, x5c] = [`${name}.key`, `${name}.pem`].map((file) => readFileSync(`${process.env.WORK}/${file}`, "utf8"));
      return { clientCertificate: { privateKey, thumbprintSha256: new X509Certificate(x5c).fingerprint256.replaceAll(":", "") } };
    };
    const app = application(ENTRA, certificate("client"));
    const result = await logIn(app, ["User.Read"], "corporate", MEMBER);
    assert.equal(result.account.username, MEMBER);
    const renewed = await refresh(app, ["User.Read"], result.account);
    assert.notEqual(renewed.accessToken, result.accessToken);
    const stranger = application(ENTRA, certificate("stranger"));
    await assert.rejects(logIn(stranger, ["User.Read"], "corporate", MEMBER), /700027/);
  },
  async "what goes wrong has Microsoft's names"() {
    const wrong = application(ENTRA, { clientSecret: "guess" });
    await assert.rejects(logIn(wrong, ["User.Read"], "corporate", MEMBER), /7000215/);
    await tell("next", { token: "wrong_nonce" });
    await assert.rejects(logIn(application(ENTRA), ["User.Read"], "corporate", MEMBER), /nonce/);
  },
};

for (const [name, step] of Object.entries(steps)) {
  await step();
  console.log(`MSAL for Node: ${name}`);
}
