/* What a pasted credential is, found out in this tab before anything is sent. The server reads the same
 * forms by the same rules (service/core/pasted.py) and decides; tests hold the two to the same answers. */

export const MAX_CHARS = 64 * 1024;

const API_KEY = /^(?:sk|tp|ttp)-[!-~]+$/;
const COOKIES = {
  service_token: ["serviceToken", "xiaomichatbot_serviceToken"],
  user_id: ["userId"],
  xiaomichatbot_ph: ["xiaomichatbot_ph"],
};
const KEY_HEADER = /[\s'"](?:authorization:\s*bearer\s+|(?:x-)?api-key:\s*)((?:sk|tp|ttp)-[^\s'"]+)/i;
const ORIGIN = /https?:\/\/[^\s/?#'"\\@]+/i;
const QUERY_PH = /[?&]xiaomichatbot_ph=([^&\s'"#]+)/;
const ESCAPE = /\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\([^])/g;

export const planOf = (key) => (key.startsWith("sk-") ? "pay-as-you-go" : "token-plan");

/** {form: "api_key", key} | {form: "cookie" | "curl", found, missing} | {form: "curl", key, origin}
 *  | {form: "empty" | "long"} */
export function recognise(raw) {
  const text = raw.trim();
  if (!text) return { form: "empty" };
  if (text.length > MAX_CHARS) return { form: "long" };
  if (API_KEY.test(text)) return { form: "api_key", key: text };
  const isCurl = text.startsWith("curl");
  const plain = withoutShellQuoting(text);
  const inHeader = isCurl && KEY_HEADER.exec(plain);
  if (inHeader) return { form: "curl", key: inHeader[1], origin: ORIGIN.exec(plain)?.[0] ?? "" };
  const found = {};
  for (const [name, cookies] of Object.entries(COOKIES)) {
    const value = cookie(plain, cookies);
    if (value) found[name] = value;
  }
  if (!found.xiaomichatbot_ph) {
    const inQuery = QUERY_PH.exec(plain);
    if (inQuery) found.xiaomichatbot_ph = decoded(inQuery[1]);
  }
  const missing = Object.keys(COOKIES)
    .filter((name) => !(name in found))
    .map((name) => COOKIES[name][0]);
  return { form: isCurl ? "curl" : "cookie", found, missing };
}

/** What the server is sent: a key or the three cookies, and nothing else of what was pasted. Null: not
 *  complete. */
export function credentialOf(text) {
  const here = recognise(text);
  if (here.key) return { api_key: here.key, ...(here.origin && { base_url: here.origin }) };
  return here.found && !here.missing.length ? { cookie: cookieHeader(here.found) } : null;
}

/** A Cookie header of the three cookies alone: the others in what was pasted never leave this tab. */
export function cookieHeader({ service_token, user_id, xiaomichatbot_ph }) {
  return `serviceToken=${service_token}; userId=${user_id}; xiaomichatbot_ph=${xiaomichatbot_ph}`;
}

function withoutShellQuoting(text) {
  if (!text.startsWith("curl")) return text;
  if (text.includes('^"')) return text.replace(/\^([^])/g, "$1"); // cmd: every special character has a caret
  return text.includes("$'") ? text.replace(ESCAPE, unescaped) : text;
}

function unescaped(whole, unicode, byte, other) {
  const code = unicode ?? byte;
  return code ? String.fromCharCode(Number.parseInt(code, 16)) : other;
}

function cookie(text, names) {
  for (const name of names) {
    const found = new RegExp(`(?:^|[\\s;:'"])${name}=\\\\?"?([^;\\s'"\\\\]+)`).exec(text);
    if (found) return found[1];
  }
  return "";
}

function decoded(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
