/* The admin API: JSON in and out, the CSRF token on what changes something, one class of error. */

const BASE = "/admin/api";

/** `status` 0: the gateway could not be reached. */
export class ApiError extends Error {
  constructor({ status, message, code = null, param = null, retryAfterS = null }) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
    this.retryAfterS = retryAfterS;
  }

  get isOffline() {
    return this.status === 0;
  }
}

/** What the shell listens to: `signed-out`, `online`, `offline`. */
export const signals = new EventTarget();

let csrfToken = null;

export function useToken(token) {
  csrfToken = token;
}

/** Another tab of this browser may have signed in again since: its session's token is asked for, once. */
async function request(method, path, options = {}) {
  try {
    return await sent(method, path, options);
  } catch (error) {
    if (error.code !== "csrf_token_missing") throw error;
    const session = await (await sent("GET", "/session", {})).json();
    useToken(session.csrf_token);
    return sent(method, path, options);
  }
}

async function sent(method, path, { body, signal, accept = "application/json" }) {
  const headers = { Accept: accept };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrfToken) headers["X-CSRF-Token"] = csrfToken;
  let response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    signals.dispatchEvent(new Event("offline"));
    throw new ApiError({ status: 0, message: "offline" });
  }
  signals.dispatchEvent(new Event("online"));
  if (response.ok) return response;
  const failure = await failureOf(response);
  if (response.status === 401 && path !== "/session") signals.dispatchEvent(new Event("signed-out"));
  throw failure;
}

/** The error of an answer in OpenAI's or Anthropic's shape, or of one in no shape at all. */
async function failureOf(response) {
  const wait = Number.parseFloat(response.headers.get("retry-after"));
  const facts = { status: response.status, retryAfterS: Number.isFinite(wait) ? wait : null };
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Not JSON: a proxy in between answered.
  }
  const error = body?.error ?? {};
  const message = typeof error.message === "string" ? error.message : `HTTP ${response.status}`;
  return new ApiError({
    ...facts,
    message,
    code: error.code ?? error.type ?? null,
    param: error.param ?? null,
  });
}

async function decoded(response) {
  return response.status === 204 ? null : response.json();
}

export const api = {
  get: async (path, options) => decoded(await request("GET", path, options)),
  post: async (path, body, options) => decoded(await request("POST", path, { ...options, body })),
  patch: async (path, body, options) => decoded(await request("PATCH", path, { ...options, body })),
  remove: async (path, options) => decoded(await request("DELETE", path, options)),
  /** The answer with its body unread, for streams. */
  open: (path, body, options) => request("POST", path, { ...options, body, accept: "*/*" }),
};

/** A query string of what is set. */
export function query(values) {
  const set = Object.entries(values).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  return set.length ? `?${new URLSearchParams(set)}` : "";
}

/** Where a script, or a download, finds the same. */
export function address(path) {
  return BASE + path;
}
